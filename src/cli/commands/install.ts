import { join, resolve } from 'node:path';
import { readClientConfig } from '../../base/client-config.js';
import { commandFailure, describeError } from '../../base/errors.js';
import { readFileIfPresent } from '../../base/files.js';
import type { Home } from '../home.js';
import { type InstalledCluster, layOut } from '../package-layout.js';

const PEM = { certificate: 'client.crt', privateKey: 'client.key', trustAnchor: 'customerCA.crt' } as const;

/** What the home of an engine has for clients beside it; before its first start, nothing but where its socket will be. */
function clusterOf(home: Home): InstalledCluster {
  const folder = join(home.directory, 'certificates');
  const read = (name: string): string | undefined => readFileIfPresent(join(folder, name))?.toString('utf8');
  const certificate = read(PEM.certificate);
  const privateKey = read(PEM.privateKey);
  const trustAnchor = read(PEM.trustAnchor);
  const config = readClientConfig(join(folder, 'cloudhsm-pkcs11.cfg'))?.config;
  const servers = config?.clusters?.[0]?.cluster.servers ?? [];
  return {
    socket: home.engineSocket,
    servers: servers.map(({ hostname, port = 2223 }) => ({ hostname, port })),
    ...(certificate && privateKey && trustAnchor && { identity: { certificate, privateKey, trustAnchor } }),
  };
}

export function installCommand(home: Home, prefixOption: string): void {
  const prefix = resolve(prefixOption);
  const cluster = clusterOf(home);
  let kept: string[];
  try {
    kept = layOut(prefix, cluster);
  } catch (error) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${prefix} cannot be installed to: ${describeError(error)}`,
      error,
    );
  }
  console.log(`CloudHSM's files are in ${prefix}: bin, lib, include/pkcs11, etc and run.`);
  if (kept.length > 0) console.log(`Left as they were in etc: ${kept.join(', ')}.`);
  if (cluster.identity === undefined)
    console.log(
      'No cluster is in the home yet: after `cloudhsm-local up`, install again or run bin/configure-cli.',
    );
}
