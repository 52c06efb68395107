import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { openLog } from '../base/log.js';
import { Applications } from '../bridge/applications.js';
import { Libraries } from '../bridge/libraries.js';
import { listenForModules } from '../bridge/socket-server.js';
import { isEchoOfFailedCommit } from '../store/lmdb-store.js';
import { auditAnswer } from './audit-logs.js';
import { openCluster } from './cluster-home.js';
import { askEngine, serveControl } from './control.js';
import { type Home, SYSTEM_CLIENT_CONFIG } from './home.js';
import { metricsPage } from './metrics.js';
import { keepReadiness } from './readiness-file.js';
import { deviating, type ReadinessReport, readinessReport } from './report.js';
import { type EngineStatus, engineStatus } from './status.js';
import { tryLockHome } from './stopped-home.js';

export interface Engine {
  status(): EngineStatus;
  /** Ends it: no further calls, everything closed. */
  stop(): Promise<void>;
  /** Resolves when somebody asked for the end through the control socket. */
  readonly stopRequested: Promise<void>;
}

async function lockHome(home: Home): Promise<void> {
  if (tryLockHome(home)) return;
  const running = await askEngine<EngineStatus>(home, 'GET', '/status').catch(() => undefined);
  const pid = running === undefined ? '' : ` (pid ${running.pid})`;
  throw commandFailure('ALREADY_RUNNING', `an engine already runs on ${home.directory}${pid}`);
}

/**
 * Starts the engine of a home: takes its lock, opens its cluster, listens for modules and for the other commands.
 * Throws ALREADY_RUNNING, BAD_CONFIGURATION or CORRUPT_STORE.
 */
export async function startEngine(
  home: Home,
  config: Config,
  requested: Partial<Config>,
  progress: (step: string) => void,
): Promise<Engine> {
  await lockHome(home);
  const log = openLog(config.logLevel, home.logFile);
  process.on('unhandledRejection', (error) => {
    if (!isEchoOfFailedCommit(error)) throw error;
  });
  const cluster = await openCluster(home, config, requested, log, progress);
  const { profile } = config;
  const readiness = keepReadiness(home, profile, log);
  const libraries = new Libraries(
    {
      clusters: [cluster],
      profile,
      keyAvailabilityCheck: config.keyAvailabilityCheck,
      readiness: readiness.record,
    },
    { configFiles: [home.clientConfigFile, SYSTEM_CLIENT_CONFIG], logFile: home.libraryLogFile },
    log,
  );
  const applications = new Applications((client, configFile) => libraries.open(client, configFile));
  progress('opening the module socket');
  const modules = await listenForModules(home.engineSocket, applications, log);
  const report = (): ReadinessReport => readinessReport(profile, readiness.record.uses());
  const status = (): EngineStatus =>
    engineStatus(profile, [cluster], applications, new Set(deviating(report()).map(({ id }) => id)).size);
  const clearReport = (): void => readiness.record.clear();
  const trails = new Map(cluster.hsms.map((hsm) => [hsm.settings.id, hsm.audit]));
  const logs = (path: string): unknown => auditAnswer(trails, path);
  const metrics = (): string => metricsPage([cluster], applications);
  const controlled = { status, report, clearReport, logs, metrics };
  const { server: control, stopRequested } = await serveControl(home, controlled, log);
  log.info({ pid: process.pid, home: home.directory, profile }, 'engine started');
  return {
    status,
    stopRequested,
    stop: async () => {
      modules.close();
      control.close();
      control.closeAllConnections();
      await cluster.close();
      readiness.close();
      log.info({ pid: process.pid }, 'engine stopped');
    },
  };
}
