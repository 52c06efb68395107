import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { startApi } from './control-plane.js';
import { serveControl } from './control-server.js';
import { planNothing, readPlan } from './default-cluster/plan.js';
import { takeHome } from './engine.js';
import type { Home } from './home.js';
import { metricsPage } from './metrics.js';
import { keepReadiness } from './readiness-file.js';
import { deviationCount, readinessReport } from './report.js';
import type { Running } from './run.js';
import type { EngineStatus } from './status.js';

export interface ControlPlaneProcess extends Running {
  status(): Promise<EngineStatus>;
}

/**
 * Runs the API with the HSMs of its clusters; no program connects here. Throws ALREADY_RUNNING, BAD_CONFIGURATION,
 * CORRUPT_STORE or START_FAILED.
 */
export async function startControlPlane(
  home: Home,
  config: Config,
  progress: (step: string) => void,
): Promise<ControlPlaneProcess> {
  const { profile, controlPlane } = config;
  if (controlPlane.enabled === false)
    throw commandFailure(
      'BAD_CONFIGURATION',
      'the configuration says that there is no API: controlPlane.enabled',
    );
  const log = await takeHome(home, config);
  planNothing(home, config);
  const readiness = keepReadiness(home, profile, log);
  const api = await startApi(home, config, readPlan(home), log, progress, readiness.record);
  const report = () => readinessReport(profile, readiness.record.uses());
  const status = async (): Promise<EngineStatus> => ({
    pid: process.pid,
    profile,
    ...(api.endpoint !== undefined && { endpoint: api.endpoint }),
    clusters: await api.status(),
    clients: [],
    deviations: deviationCount(report()),
  });
  const controlled = {
    status,
    report,
    clearReport: () => readiness.record.clear(),
    metrics: () => metricsPage(api.hsms.local),
    hsms: () => api.hsms.local.flatMap(({ hsms }) => hsms),
    processes: () => api.hsms.processes,
    backups: api.backups,
  };
  const { server: control, stopRequested } = await serveControl(home.controlSocket, controlled, log);
  log.info({ pid: process.pid, home: home.directory, profile }, 'control plane started');
  return {
    status,
    stopRequested,
    stop: async () => {
      control.close();
      control.closeAllConnections();
      await api.close();
      readiness.close();
      log.info({ pid: process.pid }, 'control plane stopped');
    },
  };
}
