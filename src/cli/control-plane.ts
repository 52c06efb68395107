import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { openBackupKeys } from '../backup/keys.js';
import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { makeFolder, moveWhole, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import type { Cluster } from '../cluster/cluster.js';
import { ControlPlane } from '../control-plane/control-plane.js';
import { LocalHsms } from '../control-plane/hosting/local-hsms.js';
import { standardAuthorization } from '../control-plane/http/authorization.js';
import { type ControlPlaneServer, serveControlPlane } from '../control-plane/http/server.js';
import { type Roots, rootFiles, rootNames } from '../control-plane/identity/hardware.js';
import { type ControlPlaneSettings, standardSettings } from '../control-plane/state/context.js';
import type { ReadinessRecord } from '../cryptoki/readiness.js';
import { mayStoreCertificates } from '../objects/certificates.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import { type ListedBackup, listedBackups } from './backups.js';
import { hsmSettings, SYNCHRONISATION_MS } from './cluster-home.js';
import { type Plan, readPlan } from './default-cluster/plan.js';
import { provision } from './default-cluster/provision.js';
import { publishCluster } from './default-cluster/publish.js';
import { endpointFile, readEndpoint } from './endpoint.js';
import type { Home } from './home.js';
import { catalogueDirectory, openHomeArchive } from './kept-backups.js';
import { lockHsm } from './listeners.js';
import { ensureRoots } from './roots.js';
import { type ClusterStatus, localStatus } from './status.js';

/** The cloudhsmv2 API of an engine, with HSMs in the engine's process. */
export interface Api {
  readonly hsms: LocalHsms;
  /** Those that programs can use, the default cluster first. */
  clusters(): readonly Cluster[];
  /** `http://host:port`; undefined: it is not served. */
  readonly endpoint: string | undefined;
  status(): ClusterStatus[];
  readonly backups: () => readonly ListedBackup[];
  close(): Promise<void>;
}

/** Listens where it is told or, when nothing is said, where it has listened before: `env` stays right over a restart. */
async function listen(
  home: Home,
  { controlPlane: { host = '127.0.0.1', port } }: Config,
  serve: (host: string, port: number) => Promise<ControlPlaneServer>,
): Promise<ControlPlaneServer> {
  if (port !== undefined) return serve(host, port);
  const before = readEndpoint(home);
  if (before === undefined) return serve(host, 0);
  return serve(host, Number(before.port)).catch(() => serve(host, 0));
}

/** Earlier versions kept HSMs of the API beside its catalogue. */
function moveHsms(home: Home): void {
  const before = join(home.controlPlaneDirectory, 'hsms');
  if (!existsSync(before)) return;
  makeFolder(home.hsmsDirectory, 0o700);
  for (const id of readdirSync(before)) moveWhole(join(before, id), join(home.hsmsDirectory, id));
}

function openHsms(home: Home, config: Config, roots: Roots, log: Log): LocalHsms {
  const claimed = new Set<string>();
  return new LocalHsms({
    directory: home.hsmsDirectory,
    failedDirectory: home.failedHsmsDirectory,
    settingsOf: ({ hsmId: id, ordinal, eniIp: host, hsmType, mode }) => {
      const certificateStorage = mayStoreCertificates(hsmType) ? config.certificateStorage : undefined;
      const shared = hsmSettings({ ...config, certificateStorage }, { hsmType, mode });
      return { ...shared, id, ordinal, host, port: config.hsmPorts[0]! };
    },
    claim: (hsmId) => {
      if (claimed.has(hsmId)) return;
      lockHsm(home, hsmId);
      claimed.add(hsmId);
    },
    backupKeys: openBackupKeys(home.backupKeyFiles, log),
    roots,
    ports: config.hsmPorts,
    synchronisationMs: SYNCHRONISATION_MS,
    log,
  });
}

/** What the configuration says, for the rest the standard; the account may have as many HSMs as its default cluster needs. */
function settingsOf(home: Home, { controlPlane }: Config, plan: Plan | undefined): ControlPlaneSettings {
  const { awsTiming, offerHsm1, quotas, subnets } = controlPlane;
  const { clusters, hsms } = standardSettings.quotas;
  return {
    ...standardSettings,
    ...(awsTiming !== undefined && { awsTiming }),
    ...(offerHsm1 !== undefined && { offerHsm1 }),
    quotas: quotas ?? { clusters, hsms: Math.max(hsms, plan?.hsms ?? 0) },
    subnets: { ...(plan && { [plan.subnet.id]: plan.subnet }), ...subnets },
    networkSeed: home.directory,
  };
}

/** Serves the API, unless the configuration says that nobody is to have it. Throws START_FAILED. */
async function serve(
  home: Home,
  config: Config,
  controlPlane: ControlPlane,
  roots: Roots,
  log: Log,
): Promise<{ endpoint: string; close(): Promise<void> } | undefined> {
  const { enabled, signatures, accessKeys, defaultAccount, defaultRegion } = config.controlPlane;
  if (enabled === false) return undefined;
  const authorization = {
    mode: signatures ?? standardAuthorization.mode,
    accessKeys: accessKeys ?? standardAuthorization.accessKeys,
    defaultAccount: defaultAccount ?? standardAuthorization.defaultAccount,
    defaultRegion: defaultRegion ?? standardAuthorization.defaultRegion,
  };
  const files = Object.fromEntries(rootNames.map((name) => [`/${rootFiles[name]}`, roots[name].certificate]));
  const server = await listen(home, config, (host, port) =>
    serveControlPlane({ controlPlane, authorization, host, port, files, log }),
  ).catch((error) => {
    throw commandFailure('START_FAILED', 'the API cannot listen', error);
  });
  const endpoint = `http://${server.host}:${server.port}`;
  // Nothing is written to start again where it was: a full disk stops no home.
  if (readEndpoint(home)?.origin !== endpoint)
    writePrivateFile(endpointFile(home), `${JSON.stringify({ endpoint })}\n`);
  return { endpoint, close: () => server.close() };
}

/**
 * Opens the home's control plane, makes the default cluster that is planned, and serves the API. Throws BAD_CONFIGURATION,
 * CORRUPT_STORE or START_FAILED.
 */
export async function startApi(
  home: Home,
  config: Config,
  plan: Plan | undefined,
  log: Log,
  progress: (step: string) => void,
  readiness: ReadinessRecord,
): Promise<Api> {
  progress('starting the API');
  const roots = await ensureRoots(home);
  moveHsms(home);
  const hsms = openHsms(home, config, roots, log);
  const archive = openHomeArchive(home, config);
  const store = openLmdbStore(catalogueDirectory(home));
  const settings = settingsOf(home, config, plan);
  const controlPlane = await ControlPlane.open({
    store,
    host: hsms,
    archive,
    log,
    profile: config.profile,
    deviated: (deviation, operation, program) => readiness.note(deviation, operation, { program }),
    settings,
  });
  const { catalogue } = controlPlane.context;
  const clusterOf = (id: string): Cluster | undefined => hsms.clusters.find((one) => one.settings.id === id);
  const close = async (): Promise<void> => {
    await controlPlane.close();
    await hsms.close();
  };
  try {
    if (plan !== undefined) {
      publishCluster(home, catalogue, log);
      await provision({ home, controlPlane, hsmOf: (id) => clusterOf(id)?.hsms[0], progress }, plan);
    }
    const served = await serve(home, config, controlPlane, roots, log);
    const defaultId = readPlan(home)?.clusterId;
    const isDefault = ({ settings: { id } }: Cluster): boolean => id === defaultId;
    const clusters = (): Cluster[] =>
      [...hsms.clusters].sort((one, other) => Number(isDefault(other)) - Number(isDefault(one)));
    return {
      hsms,
      clusters,
      endpoint: served?.endpoint,
      status: () => clusters().map((cluster) => localStatus(cluster.settings, cluster.hsms, hsms.servers)),
      backups: () => listedBackups(catalogue.all('backup'), archive),
      close: async () => {
        await served?.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
