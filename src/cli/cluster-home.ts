import { existsSync, rmSync } from 'node:fs';
import { openBackupKeys } from '../backup/keys.js';
import type { ClusterKind } from '../base/cluster-kind.js';
import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { moveWhole } from '../base/files.js';
import type { Log } from '../base/log.js';
import { Cluster } from '../cluster/cluster.js';
import { newHsmStore, openHsmStore } from '../control-plane/hosting/hsm-store.js';
import { newId } from '../control-plane/state/ids.js';
import { Hsm, type HsmSettings, type Provisioning } from '../hsm/hsm.js';
import { newMaskingKey } from '../hsm/masking.js';
import { quotaOf } from '../hsm/quotas.js';
import type { NewUser } from '../hsm/user-records.js';
import { FIRST_PASSWORD, hashNewPassword } from '../hsm/user-rules.js';
import { certificateSwitch, mayStoreCertificates } from '../objects/certificates.js';
import { isEchoOfFailedCommit } from '../store/lmdb-store.js';
import { type ClusterFile, type ClusterMember, readClusterFile, writeClusterFile } from './cluster-file.js';
import { ensureCredentials } from './credentials.js';
import type { Home } from './home.js';
import { eniIpOf, ensureCertificates } from './network.js';
import { ensureRoots } from './roots.js';

/** Clients bring what they write to all HSMs themselves: this is for what they missed. */
export const SYNCHRONISATION_MS = 10_000;

async function provisionHsm(directory: string, hsmId: string, provisioning: Provisioning): Promise<void> {
  const store = newHsmStore(directory, hsmId);
  await Hsm.provision(store, provisioning);
  await store.close();
}

async function newUsers(home: Home, { activated = true }: Config): Promise<NewUser[]> {
  if (!activated)
    return [{ name: 'admin', role: 'PRECO', passwordHash: await hashNewPassword(FIRST_PASSWORD) }];
  const { admin, cryptoUser } = ensureCredentials(home);
  const [adminHash, cryptoUserHash] = await Promise.all([
    hashNewPassword(admin.password),
    hashNewPassword(cryptoUser.password),
  ]);
  return [
    { name: admin.name, role: 'CO', passwordHash: adminHash },
    { name: cryptoUser.name, role: 'CU', passwordHash: cryptoUserHash },
  ];
}

/** Makes a cluster of new HSMs that share a masking key and begin with the same users. */
async function createCluster(
  home: Home,
  config: Config,
  progress: (step: string) => void,
): Promise<ClusterFile> {
  if (existsSync(home.hsmsDirectory)) {
    throw commandFailure(
      'CORRUPT_STORE',
      `${home.hsmsDirectory} has HSMs, but ${home.clusterFile} is missing: put it back, or \`cloudhsm-local reset\` the home`,
    );
  }
  // What a first start that did not come to its end has left.
  rmSync(home.newHsmsDirectory, { recursive: true, force: true });
  const hsms = Array.from({ length: config.hsms }, (_, at) => ({ id: newId('hsm'), ordinal: at + 1 }));
  const users = await newUsers(home, config);
  const maskingKey = newMaskingKey();
  for (const { id, ordinal } of hsms) {
    progress(`initialising ${id} (${ordinal} of ${hsms.length})`);
    await provisionHsm(home.newHsmsDirectory, id, { maskingKey, users });
  }
  maskingKey.fill(0);
  const file: ClusterFile = {
    formatVersion: 1,
    id: newId('cluster'),
    hsmType: config.hsmType,
    mode: config.mode,
    hsms,
  };
  writeClusterFile(home, file);
  return file;
}

/** cluster.json stands for HSMs that are all there; this puts them into their place, also after a crash in between. */
function placeNewHsms(home: Home): void {
  if (existsSync(home.newHsmsDirectory) && !existsSync(home.hsmsDirectory)) {
    moveWhole(home.newHsmsDirectory, home.hsmsDirectory);
  }
}

/** What a home's default cluster is made with. */
type MadeWith = ClusterKind & { readonly hsms: number; readonly eniNetwork?: string };

/** What the home was made with cannot be changed by starting it in another way. */
export function checkUnchanged(made: MadeWith, requested: Partial<Config>, home: Home): void {
  const differences: [string, unknown, unknown][] = [
    ['hsms', requested.hsms, made.hsms],
    ['hsmType', requested.hsmType, made.hsmType],
    ['mode', requested.mode, made.mode],
    ['eniNetwork', made.eniNetwork && requested.eniNetwork, made.eniNetwork],
  ];
  for (const [name, wanted, present] of differences) {
    if (wanted !== undefined && wanted !== present) {
      throw commandFailure(
        'BAD_CONFIGURATION',
        `the cluster in ${home.directory} was made with ${name} ${present}, not ${wanted}: leave the option out, choose another --home, or \`cloudhsm-local reset\` this one`,
      );
    }
  }
}

/** What all HSMs of the cluster have in common. Throws BAD_CONFIGURATION. */
export function hsmSettings(
  config: Config,
  { hsmType, mode }: ClusterKind,
): Omit<HsmSettings, 'id' | 'ordinal'> {
  const { profile, keyQuota, ecdhWithoutKdf = false, commandsPerSecond } = config;
  if (config.certificateStorage === true && !mayStoreCertificates(hsmType)) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `an ${hsmType} stores no certificates: leave certificateStorage out`,
    );
  }
  const certificateStorage = certificateSwitch(hsmType, config.certificateStorage);
  return {
    hsmType,
    mode,
    profile,
    quota: quotaOf(hsmType, keyQuota),
    certificateStorage,
    ecdhWithoutKdf,
    commandsPerSecond,
  };
}

/**
 * The home's cluster.json, with all it stands for in place: made on the first start. `requested` holds the settings the user
 * stated: those must be the home's. Throws BAD_CONFIGURATION or CORRUPT_STORE.
 */
export async function prepareCluster(
  home: Home,
  config: Config,
  requested: Partial<Config>,
  progress: (step: string) => void,
): Promise<ClusterFile> {
  const present = readClusterFile(home);
  if (present !== undefined) checkUnchanged({ ...present, hsms: present.hsms.length }, requested, home);
  const file = present ?? (await createCluster(home, config, progress));
  placeNewHsms(home);
  await ensureCertificates(home, file);
  await ensureRoots(home);
  return file;
}

/** A failed commit is reported by the write: its echo must not end the process. */
export function surviveEchoes(): void {
  process.on('unhandledRejection', (error) => {
    if (!isEchoOfFailedCommit(error)) throw error;
  });
}

/** What one HSM of the home is told of itself. Throws BAD_CONFIGURATION. */
export function settingsOf(
  home: Home,
  config: Config,
  file: ClusterFile,
  { id, ordinal, eniIp }: ClusterMember,
  log: Log,
): HsmSettings {
  const address = { host: eniIpOf(file, { ordinal, eniIp }, config), port: config.hsmPorts[0]! };
  const backupKeys = openBackupKeys(home.backupKeyFiles, log);
  return { id, ordinal, ...address, ...hsmSettings(config, file), backupKeys };
}

/** Opens one HSM of the home. Throws BAD_CONFIGURATION or CORRUPT_STORE. */
export async function openHsm(
  home: Home,
  config: Config,
  file: ClusterFile,
  member: ClusterMember,
  log: Log,
): Promise<Hsm> {
  const settings = settingsOf(home, config, file, member, log);
  const store = openHsmStore(home.hsmsDirectory, member.id);
  try {
    return await Hsm.open(store, settings, log);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** All HSMs of the home in this process, with the same objects. */
export async function openCluster(
  home: Home,
  config: Config,
  file: ClusterFile,
  log: Log,
  progress: (step: string) => void,
): Promise<Cluster> {
  const hsms: Hsm[] = [];
  for (const member of file.hsms) {
    progress(`starting ${member.id}`);
    hsms.push(await openHsm(home, config, file, member, log));
  }
  const cluster = new Cluster({ id: file.id, hsmType: file.hsmType, mode: file.mode }, hsms);
  await cluster.keepSynchronised(SYNCHRONISATION_MS);
  return cluster;
}
