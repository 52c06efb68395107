import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { configSchema } from '../../base/config.js';
import { commandFailure } from '../../base/errors.js';
import { openLog } from '../../base/log.js';
import { type HostedHsm, serveCalls, type Tell } from '../../control-plane/hosting/hosted.js';
import { ToldRoster } from '../../control-plane/hosting/roster.js';
import { surviveEchoes } from '../cluster-home.js';
import { serveControl } from '../control-server.js';
import { findHome, type Home } from '../home.js';
import { hsmListener, lockHsm } from '../listeners.js';
import { metricsPage } from '../metrics.js';
import { ensureRoots } from '../roots.js';
import { localStatus } from '../status.js';
import { openLocalHsms } from './in-process.js';

/*
 * The process of one HSM of the API's clusters: the control plane starts it, tells it what to do, and ends it. It is no command.
 */

/** How long an HSM waits for the process that had it before, whose control plane has been killed. */
const LOCK_PATIENCE_MS = 10_000;
const LOCK_POLL_MS = 25;
/** The control plane is no more: what is done by then is done. */
const END_MS = 5_000;

const beginningSchema = z.strictObject({ directory: z.string(), config: configSchema });

async function takeHsm(home: Home, hsmId: string): Promise<void> {
  for (const deadline = Date.now() + LOCK_PATIENCE_MS; ; await sleep(LOCK_POLL_MS)) {
    try {
      lockHsm(home, hsmId);
      return;
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
  }
}

async function open(hsmId: string, beginning: unknown, tell: Tell): Promise<HostedHsm> {
  const { success, data } = beginningSchema.safeParse(beginning);
  if (!success) throw commandFailure('BAD_CONFIGURATION', 'the control plane is of another version');
  const { directory, config } = data;
  const home = findHome(directory);
  await takeHsm(home, hsmId);
  const log = openLog(config.logLevel, join(home.directory, 'logs', `${hsmId}.log`));
  surviveEchoes();
  const roster = new ToldRoster((own) => tell('members', [...own]));
  const host = openLocalHsms(home, config, await ensureRoots(home), log, { roster });
  const hsms = () => host.clusters.flatMap((cluster) => cluster.hsms);
  const { server: control, stopRequested } = await serveControl(
    hsmListener(home, hsmId).controlSocket,
    {
      status: async () => ({
        pid: process.pid,
        profile: config.profile,
        clusters: host.clusters.map((cluster) => localStatus(cluster.settings, cluster.hsms, host.servers)),
        clients: [],
        deviations: 0,
      }),
      metrics: () => metricsPage(host.clusters),
      hsms,
    },
    log,
  );
  void stopRequested.then(() => process.disconnect());
  log.info({ pid: process.pid, hsm: hsmId }, "the HSM's process runs");
  return {
    host,
    hear: (members) => {
      roster.hear(members);
      host.follow();
    },
    close: async () => {
      control.close();
      control.closeAllConnections();
      await host.close();
      log.info({ pid: process.pid, hsm: hsmId }, 'HSM stopped');
    },
  };
}

/** Serves the control plane that has started this process, and ends with it. */
export function serveHostedHsm(hsmId: string): void {
  // A terminal's Ctrl-C, and what ends a service, go to all: the control plane ends its HSMs in their turn.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
  process.once('disconnect', () => setTimeout(() => process.exit(1), END_MS));
  serveCalls(
    process,
    (beginning, tell) => open(hsmId, beginning, tell),
    () => process.exit(0),
  );
}
