import { join } from 'node:path';
import type { Config } from '../base/config.js';
import { describeError } from '../base/errors.js';
import { openLog } from '../base/log.js';
import { requireSocketPath } from '../base/sockets.js';
import { Synchronizer } from '../cluster/synchronizer.js';
import { memberOf, readClusterFile, requireOwnCluster } from './cluster-file.js';
import { openHsm, SYNCHRONISATION_MS, surviveEchoes } from './cluster-home.js';
import { serveControl } from './control-server.js';
import type { Home } from './home.js';
import { hsmListener, lockHsm } from './listeners.js';
import { metricsPage } from './metrics.js';
import { listen, membersOf, remotePeers } from './network.js';
import { type EngineStatus, localStatus } from './status.js';

/** How often a process of one HSM looks whether its cluster has changed. */
const CLUSTER_FILE_POLL_MS = 1_000;

export interface HsmProcess {
  status(): Promise<EngineStatus>;
  stop(): Promise<void>;
  readonly stopRequested: Promise<void>;
}

/** Runs one HSM of a home that `init` has made. Throws ALREADY_RUNNING, BAD_CONFIGURATION, CORRUPT_STORE or START_FAILED. */
export async function startHsm(home: Home, config: Config, idOrOrdinal: string): Promise<HsmProcess> {
  let file = requireOwnCluster(home);
  const member = memberOf(file, idOrOrdinal);
  requireSocketPath(hsmListener(home, member.id).controlSocket);
  lockHsm(home, member.id);
  const log = openLog(config.logLevel, join(home.directory, 'logs', `${member.id}.log`));
  surviveEchoes();
  const hsm = await openHsm(home, config, file, member, log);
  const members = () => membersOf(file, config);
  const synchronizer = new Synchronizer(hsm, remotePeers(home, member.id, members));
  // Others may ask it what it has while it asks them.
  const joined = hsm.join();
  const server = await listen(home, hsm, members, config.hsmPorts);
  await joined;
  synchronizer.start(SYNCHRONISATION_MS);
  let complaint: string | undefined;
  const watch = setInterval(() => {
    try {
      const now = readClusterFile(home);
      complaint = undefined;
      if (now === undefined || (now.version ?? 1) <= (file.version ?? 1)) return;
      file = now;
      server.announce();
    } catch (error) {
      // The HSM goes on with the list that it has: a file that somebody damages, or no file handle to spare, ends no HSM.
      if (complaint !== describeError(error)) log.warn({ hsm: member.id }, describeError(error));
      complaint = describeError(error);
    }
  }, CLUSTER_FILE_POLL_MS);
  const { id, hsmType, mode } = file;
  const settings = { id, hsmType, mode };
  const status = async (): Promise<EngineStatus> => ({
    pid: process.pid,
    profile: config.profile,
    clusters: [localStatus(settings, [hsm], [server])],
    clients: [],
    deviations: 0,
  });
  const { server: control, stopRequested } = await serveControl(
    hsmListener(home, member.id).controlSocket,
    {
      status,
      metrics: () => metricsPage([{ settings, hsms: [hsm] }]),
      hsms: () => [hsm],
      backUp: () => hsm.backUp(id),
    },
    log,
  );
  log.info({ pid: process.pid, hsm: member.id, eniIp: server.eniIp, ports: server.ports }, 'HSM started');
  return {
    status,
    stopRequested,
    stop: async () => {
      clearInterval(watch);
      void synchronizer.stop();
      control.close();
      control.closeAllConnections();
      await server.close();
      await hsm.close();
      log.info({ pid: process.pid, hsm: member.id }, 'HSM stopped');
    },
  };
}
