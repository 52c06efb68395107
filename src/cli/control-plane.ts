import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { makeFolder, moveWhole, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import type { ClusterView } from '../cluster/cluster.js';
import { ControlPlane } from '../control-plane/control-plane.js';
import { standardAuthorization } from '../control-plane/http/authorization.js';
import { type ControlPlaneServer, serveControlPlane } from '../control-plane/http/server.js';
import { type Roots, rootFiles, rootNames } from '../control-plane/identity/hardware.js';
import { type ControlPlaneSettings, standardSettings } from '../control-plane/state/settings.js';
import type { ReadinessRecord } from '../cryptoki/readiness.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import type { ApiHsms } from './api-hsms/api-hsms.js';
import { inProcess } from './api-hsms/in-process.js';
import { inProcesses } from './api-hsms/in-processes.js';
import { type ListedBackup, listedBackups } from './backups.js';
import { type Plan, readPlan } from './default-cluster/plan.js';
import { provision } from './default-cluster/provision.js';
import { publishCluster } from './default-cluster/publish.js';
import { endpointFile, readEndpoint } from './endpoint.js';
import type { Home } from './home.js';
import { catalogueDirectory, openHomeArchive } from './kept-backups.js';
import { ensureRoots } from './roots.js';
import type { ClusterStatus } from './status.js';

/** The cloudhsmv2 API of an engine, and what runs its HSMs. */
export interface Api {
  readonly hsms: ApiHsms;
  /** Those that programs can use, the default cluster first. */
  clusters(): readonly ClusterView[];
  /** `http://host:port`; undefined: it is not served. */
  readonly endpoint: string | undefined;
  status(): Promise<ClusterStatus[]>;
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
  const hsms = config.hsmProcesses ? inProcesses(home, config, log) : inProcess(home, config, roots, log);
  const archive = openHomeArchive(home, config);
  const store = openLmdbStore(catalogueDirectory(home));
  const settings = settingsOf(home, config, plan);
  const controlPlane = await ControlPlane.open({
    store,
    host: hsms.host,
    archive,
    log,
    profile: config.profile,
    deviated: (deviation, operation, program) => readiness.note(deviation, operation, { program }),
    settings,
  }).catch(async (error: unknown) => {
    // Some of its HSMs may run, which would keep the process.
    await hsms.close();
    throw error;
  });
  const { catalogue } = controlPlane.context;
  const close = async (): Promise<void> => {
    await controlPlane.close();
    await hsms.close();
  };
  try {
    if (plan !== undefined) {
      publishCluster(home, catalogue, log);
      await provision({ home, controlPlane, connect: hsms.connect, progress }, plan);
    }
    await hsms.settled();
    const served = await serve(home, config, controlPlane, roots, log);
    const defaultId = readPlan(home)?.clusterId;
    const isDefault = ({ settings: { id } }: ClusterView): boolean => id === defaultId;
    const clusters = (): ClusterView[] =>
      [...hsms.clusters].sort((one, other) => Number(isDefault(other)) - Number(isDefault(one)));
    return {
      hsms,
      clusters,
      endpoint: served?.endpoint,
      status: () => Promise.all(clusters().map((cluster) => hsms.status(cluster))),
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
