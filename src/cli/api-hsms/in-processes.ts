import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { openBackupKeys } from '../../backup/keys.js';
import type { Config, ConfigInput } from '../../base/config.js';
import { makeFolder } from '../../base/files.js';
import type { Log } from '../../base/log.js';
import type { ClusterView } from '../../cluster/cluster.js';
import { connectToHsm } from '../../cluster/connect-to-hsm.js';
import type { Patience } from '../../control-plane/hosting/hsm-process.js';
import { ProcessHsms } from '../../control-plane/hosting/process-hsms.js';
import { askOfHsms } from '../control.js';
import type { Home } from '../home.js';
import { root } from '../installation.js';
import { hsmListener, type Listener } from '../listeners.js';
import { type ClusterStatus, mergedHsms } from '../status.js';
import type { ApiHsms } from './api-hsms.js';
import { ToldClusters } from './told-clusters.js';

/** What the process of an HSM is told first. */
export interface HsmBeginning {
  readonly directory: string;
  readonly config: ConfigInput;
}

/** One of those that the build has bundled, for engines that run from their modules as well. */
const program = join(root, 'dist', 'bundle', 'programs', 'hosted-hsm.js');
/** Where Node 22 keeps what it has compiled, as bin/cloudhsm-local.mjs says. */
const compiled = join(root, 'dist', '.compiled');

function spawnHsm(hsmId: string): ChildProcess {
  const env = { NODE_COMPILE_CACHE: compiled, ...process.env };
  // `advanced` carries Buffers.
  return fork(program, [hsmId], {
    env,
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
}

/** HSMs in processes of their own, beside the engine's. */
export function inProcesses(home: Home, config: Config, log: Log, patience?: Patience): ApiHsms {
  // Several processes would make them at the same time.
  openBackupKeys(home.backupKeyFiles, log);
  makeFolder(home.hsmsDirectory, 0o700);
  // What the API has of the configuration is not for them: access keys, buckets.
  const { controlPlane: _, backups: __, ...ofHsms } = config;
  const beginning: HsmBeginning = { directory: home.directory, config: ofHsms };
  const host = new ProcessHsms({
    directory: home.hsmsDirectory,
    failedDirectory: home.failedHsmsDirectory,
    spawn: spawnHsm,
    beginning,
    moved: (members) => clusters.follow(members),
    patience,
    log,
  });
  const clusters = new ToldClusters((hsmId) => host.clientIdentity(hsmId), log);
  const listeners = (ids: Iterable<string>): Map<string, Listener> =>
    new Map([...ids].map((id) => [id, hsmListener(home, id)]));
  return {
    host,
    get clusters() {
      return clusters.all;
    },
    local: [],
    get processes() {
      return listeners(host.pids.keys());
    },
    addressesOf: (cluster) => clusters.of(cluster.settings.id)?.members.map(({ eniIp }) => eniIp) ?? [],
    connect: async (id) => {
      const { identity, members } = await clusters.ready(id);
      const { eniIp, port } = members.hsms[0]!;
      return connectToHsm({ endpoint: { host: eniIp, port }, identity });
    },
    status: (cluster) => statusOf(cluster, listeners(cluster.hsms.map(({ settings }) => settings.id))),
    settled: () => clusters.settled(),
    close: async () => {
      clusters.close();
      await host.close();
    },
  };
}

/** What those of a cluster's HSMs say that answer. */
async function statusOf(
  { settings: { id, hsmType, mode } }: ClusterView,
  listeners: ReadonlyMap<string, Listener>,
): Promise<ClusterStatus> {
  const asked = await Promise.allSettled([...listeners.values()].map(askOfHsms));
  const said = asked.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  return { id, hsmType, mode, state: 'ACTIVE', ...mergedHsms(said, [...listeners.keys()]) };
}
