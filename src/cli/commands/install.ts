import { join, resolve } from 'node:path';
import { loadConfig } from '../../base/config.js';
import { commandFailure } from '../../base/errors.js';
import { readFileIfPresent } from '../../base/files.js';
import { readClusterFile } from '../cluster-file.js';
import { askEngine } from '../control.js';
import type { Home } from '../home.js';
import { membersOf } from '../network.js';
import { type InstalledCluster, layOut } from '../package-layout.js';
import type { EngineStatus } from '../status.js';

const PEM = { certificate: 'client.crt', privateKey: 'client.key', trustAnchor: 'customerCA.crt' } as const;

/** What the home of an engine has for clients beside it; before its first start, nothing but where its socket will be. An engine
 * that runs knows where its HSMs listen; otherwise they will where they do without other settings. */
async function clusterOf(home: Home): Promise<InstalledCluster> {
  const read = (name: string): string | undefined =>
    readFileIfPresent(join(home.certificatesDirectory, name))?.toString('utf8');
  const certificate = read(PEM.certificate);
  const privateKey = read(PEM.privateKey);
  const trustAnchor = read(PEM.trustAnchor);
  const status = await askEngine<EngineStatus>(home, 'GET', '/status').catch(() => undefined);
  const running = status?.clusters.flatMap(({ hsms }) => hsms) ?? [];
  const listening = running.flatMap(({ eniIp, port }) =>
    eniIp === null || port === null ? [] : [{ hostname: eniIp, port }],
  );
  const file = readClusterFile(home);
  const members = file === undefined ? [] : membersOf(file, loadConfig(undefined, {}).config).hsms;
  return {
    socket: home.engineSocket,
    servers: listening.length > 0 ? listening : members.map(({ eniIp, port }) => ({ hostname: eniIp, port })),
    ...(certificate && privateKey && trustAnchor && { identity: { certificate, privateKey, trustAnchor } }),
  };
}

export async function installCommand(home: Home, prefixOption: string): Promise<void> {
  const prefix = resolve(prefixOption);
  const cluster = await clusterOf(home);
  let kept: string[];
  try {
    kept = layOut(prefix, cluster);
  } catch (error) {
    throw commandFailure('BAD_CONFIGURATION', `nothing can be installed in ${prefix}`, error);
  }
  console.log(`CloudHSM's files are in ${prefix}: bin, lib, include/pkcs11, etc and run.`);
  if (kept.length > 0) console.log(`Left as they were in etc: ${kept.join(', ')}.`);
  if (cluster.identity === undefined)
    console.log(
      'No cluster is in the home yet: after `cloudhsm-local up`, install again or run bin/configure-cli.',
    );
}
