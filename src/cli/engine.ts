import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { type Log, openLog } from '../base/log.js';
import { requireSocketPath } from '../base/sockets.js';
import { Applications } from '../bridge/applications.js';
import { Libraries } from '../bridge/libraries.js';
import { operationsAsked, operationsOfThreads } from '../bridge/shared-memory.js';
import { listenForModules } from '../bridge/socket-server.js';
import type { Cluster, ClusterView } from '../cluster/cluster.js';
import { RemoteCluster, type RemoteClusterOptions } from '../cluster/remote-cluster.js';
import type { EngineOffer } from '../cryptoki/library.js';
import type { Hsm } from '../hsm/hsm.js';
import { presentedBy } from '../tools/connection/identity.js';
import { checkUnchanged, hsmSettings, openCluster, prepareCluster, surviveEchoes } from './cluster-home.js';
import { askEngine } from './control.js';
import { type Api, startApi } from './control-plane.js';
import { serveControl } from './control-server.js';
import { eniNetworkOf, planOf, readPlan } from './default-cluster/plan.js';
import { type Home, SYSTEM_CLIENT_CONFIG } from './home.js';
import { type Listener, lockHsm, tryLock } from './listeners.js';
import { metricsPage } from './metrics.js';
import { asConfiguration, listenAll, membersOf } from './network.js';
import { ReachedClusters } from './reached-clusters.js';
import { keepReadiness } from './readiness-file.js';
import { deviationCount, type ReadinessReport, readinessReport } from './report.js';
import { readServers } from './servers.js';
import { type ClusterStatus, type EngineStatus, localStatus, remoteStatus } from './status.js';

export interface Engine {
  status(): Promise<EngineStatus>;
  /** Ends it: no further calls, everything closed. */
  stop(): Promise<void>;
  /** Resolves when somebody asked for the end through the control socket. */
  readonly stopRequested: Promise<void>;
}

/** Throws ALREADY_RUNNING, and BAD_CONFIGURATION for a home that has no room for its sockets. */
export async function takeLock(home: Home): Promise<void> {
  requireSocketPath(home.controlSocket);
  if (tryLock(home)) return;
  const running = await askEngine<EngineStatus>(home, 'GET', '/status').catch(() => undefined);
  const pid = running === undefined ? '' : ` (pid ${running.pid})`;
  throw commandFailure('ALREADY_RUNNING', `an engine already runs on ${home.directory}${pid}`);
}

/** What an engine works with: HSMs of its own, or those of other processes. */
interface Backing {
  /** As they are now: the API makes further ones. */
  clusters(): readonly ClusterView[];
  /** Where the HSMs of one of them listen. */
  addressesOf(cluster: ClusterView): readonly string[];
  /** Those whose HSMs run in this process. */
  local(): readonly Cluster[];
  readonly api?: Api | undefined;
  status(): Promise<ClusterStatus[]>;
  close(): Promise<void>;
}

type ServedConfig = Pick<Config, 'profile'> & { readonly keyAvailabilityCheck?: boolean | undefined };

/** Takes the home's lock and opens its log. Throws ALREADY_RUNNING. */
export async function takeHome(home: Home, config: Config): Promise<Log> {
  await takeLock(home);
  const log = openLog(config.logLevel, home.logFile);
  surviveEchoes();
  return log;
}

/**
 * Starts the engine of a home: takes its lock, opens its cluster, listens for modules, for clients of its HSMs and for the
 * other commands. Throws ALREADY_RUNNING, BAD_CONFIGURATION or CORRUPT_STORE.
 */
export async function startEngine(
  home: Home,
  config: Config,
  requested: Partial<Config>,
  progress: (step: string) => void,
): Promise<Engine> {
  const log = await takeHome(home, config);
  // What is refused later would leave a cluster behind that is half made.
  hsmSettings(config, readPlan(home) ?? config);
  const plan = planOf(home, config, requested);
  // Where nothing was to be made, nothing was decided.
  if (plan !== undefined && (plan.clusterId !== undefined || !plan.complete))
    checkUnchanged({ ...plan, eniNetwork: eniNetworkOf(plan) }, requested, home);
  const own = plan === undefined ? await openOwnCluster(home, config, requested, log, progress) : undefined;
  const noApi = own !== undefined && config.controlPlane.enabled === false;
  const readiness = keepReadiness(home, config.profile, log);
  let api: Api | undefined;
  const close = async (): Promise<void> => {
    await api?.close();
    await own?.close();
  };
  const local = (): Cluster[] => [...(own ? [own.cluster] : []), ...(api?.hsms.local ?? [])];
  const clusters = (): ClusterView[] => [...(own ? [own.cluster] : []), ...(api?.clusters() ?? [])];
  try {
    if (!noApi) api = await startApi(home, config, plan, log, progress, readiness.record);
    const backing: Backing = {
      clusters,
      addressesOf: (cluster) =>
        cluster === own?.cluster ? own.addresses : (api?.hsms.addressesOf(cluster) ?? []),
      local,
      api,
      status: async () => [...(own ? [own.status()] : []), ...((await api?.status()) ?? [])],
      close,
    };
    return await serve(home, config, backing, readiness, log, progress);
  } catch (error) {
    // What listens would keep the process.
    await close();
    throw error;
  }
}

/** The default cluster of a home that `init` or an earlier version has made: the API does not know of it. */
async function openOwnCluster(
  home: Home,
  config: Config,
  requested: Partial<Config>,
  log: Log,
  progress: (step: string) => void,
) {
  const file = await prepareCluster(home, config, requested, progress);
  for (const { id } of file.hsms) lockHsm(home, id);
  const cluster = await openCluster(home, config, file, log, progress);
  const members = membersOf(file, config);
  const servers = await listenAll(home, cluster.hsms, members, config.hsmPorts, log);
  return {
    cluster,
    addresses: members.hsms.map(({ eniIp }) => eniIp),
    status: () => localStatus(cluster.settings, cluster.hsms, servers),
    close: async () => {
      await Promise.all(servers.map((server) => server.close()));
      await cluster.close();
    },
  };
}

/**
 * Starts an engine whose HSMs run in other processes, which a client configuration names. Throws ALREADY_RUNNING,
 * BAD_CONFIGURATION, or START_FAILED when none of them can be reached.
 * @param waiting where none of them runs yet
 */
export async function startClient(
  home: Home,
  config: Config,
  clientConfig: string,
  progress: (step: string) => void,
  waiting: NonNullable<RemoteClusterOptions['waiting']>,
): Promise<Engine> {
  const log = await takeHome(home, config);
  progress('connecting to the HSMs');
  const clusters: RemoteCluster[] = [];
  const closeAll = (): void => {
    for (const cluster of clusters) cluster.close();
  };
  const lists = readServers(clientConfig);
  try {
    for (const options of lists) clusters.push(await RemoteCluster.open({ ...options, log, waiting }));
  } catch (error) {
    // Connections to the others would keep the process.
    closeAll();
    throw error;
  }
  const backing: Backing = {
    clusters: () => clusters,
    addressesOf: (cluster) => (cluster as RemoteCluster).members.map(({ eniIp }) => eniIp),
    local: () => [],
    status: () => Promise.all(clusters.map(remoteStatus)),
    close: async () => closeAll(),
  };
  const unchecked = lists.every(({ availabilityCheck }) => !availabilityCheck);
  const { keyAvailabilityCheck = unchecked ? false : undefined } = config;
  const readiness = keepReadiness(home, config.profile, log);
  return serve(home, { ...config, keyAvailabilityCheck }, backing, readiness, log, progress);
}

/** Lets modules and the other commands in. */
async function serve(
  home: Home,
  { profile, keyAvailabilityCheck }: ServedConfig,
  { clusters, addressesOf, local, api, status: clusterStatus, close }: Backing,
  readiness: ReturnType<typeof keepReadiness>,
  log: Log,
  progress: (step: string) => void,
): Promise<Engine> {
  const elsewhere = new ReachedClusters(log);
  const reach: EngineOffer['reach'] = (file, entry) => elsewhere.reach(file, entry);
  const libraries = new Libraries(
    {
      get clusters() {
        return clusters();
      },
      profile,
      keyAvailabilityCheck,
      readiness: readiness.record,
      addressesOf,
      presentedBy: (file, entry) => asConfiguration(() => presentedBy(entry), file),
      reach,
    },
    { configFiles: [home.clientConfigFile, SYSTEM_CLIENT_CONFIG], logFile: home.libraryLogFile },
    log,
  );
  const applications = new Applications((client, configFile) => libraries.open(client, configFile));
  progress('opening the module socket');
  const modules = await listenForModules(home.engineSocket, applications, log);
  const report = (): ReadinessReport => readinessReport(profile, readiness.record.uses());
  const status = async (): Promise<EngineStatus> => ({
    pid: process.pid,
    profile,
    ...(api?.endpoint !== undefined && { endpoint: api.endpoint }),
    clusters: [...(await clusterStatus()), ...(await Promise.all(elsewhere.clusters.map(remoteStatus)))],
    clients: applications.status(),
    deviations: deviationCount(report()),
  });
  const clearReport = (): void => readiness.record.clear();
  const metrics = (): string => metricsPage(local(), { applications, operationsOfThreads, operationsAsked });
  const hsms = (): Hsm[] => local().flatMap((cluster) => cluster.hsms);
  const processes = () => api?.hsms.processes ?? new Map<string, Listener>();
  const controlled = { status, report, clearReport, metrics, hsms, processes, backups: api?.backups };
  const { server: control, stopRequested } = await serveControl(home.controlSocket, controlled, log);
  log.info({ pid: process.pid, home: home.directory, profile }, 'engine started');
  return {
    status,
    stopRequested,
    stop: async () => {
      modules.close();
      control.close();
      control.closeAllConnections();
      elsewhere.close();
      await close();
      readiness.close();
      log.info({ pid: process.pid }, 'engine stopped');
    },
  };
}
