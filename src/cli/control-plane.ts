import { join } from 'node:path';
import { z } from 'zod';
import { openBackupKeys } from '../backup/keys.js';
import type { Config } from '../base/config.js';
import { commandFailure, describeError } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import { archiveSchema, openArchive } from '../control-plane/archive/archive.js';
import { ControlPlane } from '../control-plane/control-plane.js';
import { LocalHsms } from '../control-plane/hosting/local-hsms.js';
import { standardAuthorization } from '../control-plane/http/authorization.js';
import { type ControlPlaneServer, serveControlPlane } from '../control-plane/http/server.js';
import { newRoots, type Roots, rootFiles, rootNames } from '../control-plane/identity/hardware.js';
import { standardSettings } from '../control-plane/state/context.js';
import type { ReadinessRecord } from '../cryptoki/readiness.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import { type ListedBackup, listedBackups } from './backups.js';
import { hsmSettings, SYNCHRONISATION_MS } from './cluster-home.js';
import { endpointFile, readEndpoint } from './endpoint.js';
import type { Home } from './home.js';
import { type ClusterStatus, localStatus } from './status.js';

/** The cloudhsmv2 API of an engine, with HSMs in the engine's process. */
export interface Api {
  readonly hsms: LocalHsms;
  /** `http://host:port` */
  readonly endpoint: string;
  status(): ClusterStatus[];
  readonly backups: () => readonly ListedBackup[];
  close(): Promise<void>;
}

const rootsSchema = z.record(
  z.enum(rootNames),
  z.object({ certificate: z.string(), privateKey: z.string() }),
);

/** The roots that users pin: made once per home. Throws BAD_CONFIGURATION. */
async function ensureRoots(home: Home): Promise<Roots> {
  const contents = readFileIfPresent(home.rootsFile);
  if (contents === undefined) {
    const roots = await newRoots();
    writePrivateFile(home.rootsFile, `${JSON.stringify(roots, null, 2)}\n`);
    for (const name of rootNames)
      writePrivateFile(join(home.certificatesDirectory, rootFiles[name]), roots[name].certificate);
    return roots;
  }
  try {
    return rootsSchema.parse(JSON.parse(contents.toString()));
  } catch (error) {
    throw commandFailure('BAD_CONFIGURATION', `${home.rootsFile} does not hold the emulated roots`, error);
  }
}

function parseArchive(backups: Config['backups']) {
  const result = archiveSchema.safeParse(backups);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `backups.${path.join('.')}: ${message}`);
  throw commandFailure('BAD_CONFIGURATION', `the configuration cannot be used: ${problems.join('; ')}`);
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

/** Opens the home's control plane and serves it, unless the configuration says that there is none. Throws BAD_CONFIGURATION, CORRUPT_STORE or START_FAILED. */
export async function startApi(
  home: Home,
  config: Config,
  log: Log,
  progress: (step: string) => void,
  readiness: ReadinessRecord,
): Promise<Api | undefined> {
  if (config.controlPlane.enabled === false) return undefined;
  progress('starting the API');
  const roots = await ensureRoots(home);
  const settingsOf = ({
    hsmType,
    mode,
    hsmId,
    ordinal,
  }: { hsmId: string; ordinal: number } & Pick<Config, 'hsmType' | 'mode'>) => ({
    ...hsmSettings({ ...config, certificateStorage: undefined }, { hsmType, mode }),
    id: hsmId,
    ordinal,
  });
  const hsms = new LocalHsms({
    directory: join(home.controlPlaneDirectory, 'hsms'),
    settingsOf,
    backupKeys: openBackupKeys(home.backupKeyFiles, log),
    roots,
    ports: config.hsmPorts,
    synchronisationMs: SYNCHRONISATION_MS,
    log,
  });
  const { awsTiming, offerHsm1, quotas, subnets, signatures, accessKeys } = config.controlPlane;
  const { defaultAccount, defaultRegion } = config.controlPlane;
  const archive = openArchive(parseArchive(config.backups), {
    backups: home.backupsDirectory,
    keys: home.archiveKeysDirectory,
  });
  const controlPlane = await ControlPlane.open({
    store: openLmdbStore(join(home.controlPlaneDirectory, 'catalogue')),
    host: hsms,
    archive,
    log,
    profile: config.profile,
    deviated: (deviation, operation, program) => readiness.note(deviation, operation, { program }),
    settings: {
      awsTiming: awsTiming ?? standardSettings.awsTiming,
      offerHsm1: offerHsm1 ?? standardSettings.offerHsm1,
      quotas: quotas ?? standardSettings.quotas,
      subnets: subnets ?? standardSettings.subnets,
      networkSeed: home.directory,
    },
  });
  const authorization = {
    mode: signatures ?? standardAuthorization.mode,
    accessKeys: accessKeys ?? standardAuthorization.accessKeys,
    defaultAccount: defaultAccount ?? standardAuthorization.defaultAccount,
    defaultRegion: defaultRegion ?? standardAuthorization.defaultRegion,
  };
  const files = Object.fromEntries(rootNames.map((name) => [`/${rootFiles[name]}`, roots[name].certificate]));
  let server: ControlPlaneServer;
  try {
    server = await listen(home, config, (host, port) =>
      serveControlPlane({ controlPlane, authorization, host, port, files, log }),
    );
  } catch (error) {
    await controlPlane.close();
    throw commandFailure('START_FAILED', `the API cannot listen: ${describeError(error)}`, error);
  }
  const endpoint = `http://${server.host}:${server.port}`;
  // Nothing is written to start again where it was: a full disk stops no home.
  if (readEndpoint(home)?.origin !== endpoint)
    writePrivateFile(endpointFile(home), `${JSON.stringify({ endpoint })}\n`);
  return {
    hsms,
    endpoint,
    status: () => hsms.clusters.map((cluster) => localStatus(cluster.settings, cluster.hsms, hsms.servers)),
    backups: () => listedBackups(controlPlane.context.catalogue.all('backup'), archive),
    close: async () => {
      await server.close();
      await controlPlane.close();
      await hsms.close();
    },
  };
}
