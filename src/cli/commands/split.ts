import { join } from 'node:path';
import { loadConfig } from '../../base/config.js';
import { writePrivateFile } from '../../base/files.js';
import { requireNoApiCluster } from '../cluster-file.js';
import { prepareCluster } from '../cluster-home.js';
import { startControlPlane } from '../control-plane-process.js';
import { startClient, takeLock } from '../engine.js';
import type { Home } from '../home.js';
import { startHsm } from '../hsm-process.js';
import { clientConfigOf, membersOf } from '../network.js';
import { readyPage } from '../ready-page.js';
import { sayReady, untilStopped } from '../run.js';
import { shellWord } from '../shell.js';
import { bold, progressLine, table } from '../terminal.js';

interface ConfigOption {
  readonly config?: string;
}

/** Makes the cluster with its users and certificates, and says how to run it. */
export async function initCommand(
  home: Home,
  { hsms, config: file }: ConfigOption & { hsms?: string },
): Promise<void> {
  const progress = progressLine();
  const { config, stated } = loadConfig(file, hsms === undefined ? {} : { hsms: Number(hsms) });
  await takeLock(home);
  requireNoApiCluster(home);
  const cluster = await prepareCluster(home, config, stated, progress.step);
  const servers = join(home.certificatesDirectory, 'cloudhsm-pkcs11.cfg');
  writePrivateFile(servers, `${JSON.stringify(clientConfigOf(home, cluster, config), null, 2)}\n`);
  progress.done();
  const members = membersOf(cluster, config).hsms.map(({ id, eniIp, port }) => [id, `${eniIp}:${port}`]);
  console.log(
    [
      bold(`${cluster.id} is made: ${cluster.hsms.length} × ${cluster.hsmType}, ${cluster.mode}`),
      table([['HSM', 'ADDRESS'], ...members]),
      '',
      ...cluster.hsms.map(({ id }) => `  cloudhsm-local hsm ${id} --home ${shellWord(home.directory)}`),
      `  cloudhsm-local client --servers ${shellWord(servers)} --home CLIENT-HOME`,
    ].join('\n'),
  );
}

export async function hsmCommand(home: Home, hsm: string, { config: file }: ConfigOption): Promise<void> {
  const { config } = loadConfig(file, {});
  const running = await startHsm(home, config, hsm);
  const text = async (): Promise<string> => {
    const [cluster] = (await running.status()).clusters;
    return cluster!.hsms.map(({ id, eniIp, port }) => `${id} listens on ${eniIp}:${port}`).join('\n');
  };
  await untilStopped(running, () => sayReady(text));
}

export async function controlPlaneCommand(home: Home, { config: file }: ConfigOption): Promise<void> {
  const progress = progressLine();
  const { config } = loadConfig(file, {});
  const running = await startControlPlane(home, config, progress.step);
  progress.done();
  const text = async (): Promise<string> => {
    const { endpoint } = await running.status();
    return `The cloudhsmv2 API listens: export AWS_ENDPOINT_URL_CLOUDHSM_V2='${endpoint}'`;
  };
  await untilStopped(running, () => sayReady(text));
}

export async function clientCommand(
  home: Home,
  { servers, config: file, wait }: ConfigOption & { servers: string; wait: number },
): Promise<void> {
  const progress = progressLine();
  const { config } = loadConfig(file, {});
  const began = (why: string): void => progress.note(`no HSM listens yet, waiting ${wait} s at most: ${why}`);
  const engine = await startClient(home, config, servers, progress.step, { ms: wait * 1000, began });
  progress.done();
  await untilStopped(engine, () => sayReady(async () => readyPage(home, await engine.status())));
}
