import { existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { clusterModes, hsmTypes, isClusterKind, noSuchKind } from '../base/cluster-kind.js';
import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import type { Log } from '../base/log.js';
import { Cluster } from '../cluster/cluster.js';
import { randomBytes } from '../crypto/index.js';
import { Hsm, type HsmSettings, newMaskingKey, type Provisioning } from '../hsm/hsm.js';
import { quotaOf } from '../hsm/quotas.js';
import type { NewUser } from '../hsm/user-records.js';
import { hashNewPassword } from '../hsm/user-rules.js';
import { certificateSwitch, mayStoreCertificates } from '../objects/certificates.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import type { RecordStore } from '../store/record-store.js';
import { SEALING_KEY_BYTES, sealedStore } from '../store/sealing.js';
import { ensureCredentials } from './credentials.js';
import type { Home } from './home.js';

const clusterSchema = z
  .object({
    formatVersion: z.literal(1),
    id: z.string().regex(/^cluster-[a-z2-7]{11}$/),
    hsmType: z.enum(hsmTypes),
    mode: z.enum(clusterModes),
    hsms: z
      .array(z.object({ id: z.string().regex(/^hsm-[a-z2-7]{11}$/), ordinal: z.number().int().min(1) }))
      .min(1),
  })
  .refine(isClusterKind, { path: ['mode'], error: noSuchKind });

/** cluster.json: which HSMs the home's cluster has. It is written when all of them are in place. */
type ClusterFile = z.infer<typeof clusterSchema>;

/** AWS's ids: a prefix and eleven characters of base32. */
function newId(prefix: 'cluster' | 'hsm'): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  return `${prefix}-${Array.from(randomBytes(11), (byte) => alphabet[byte % 32]).join('')}`;
}

function readClusterFile(home: Home): ClusterFile | undefined {
  const contents = readFileIfPresent(home.clusterFile);
  if (contents === undefined) return undefined;
  try {
    return clusterSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch (error) {
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${home.clusterFile} is not a cluster file of this version`,
      error,
    );
  }
}

/** The ids of the home's HSMs. Throws BAD_CONFIGURATION. */
export function homeHsms(home: Home): readonly string[] {
  return readClusterFile(home)?.hsms.map(({ id }) => id) ?? [];
}

/** An HSM's store: LMDB under the sealing layer. The sealing key stands in for the one that is fused into an HSM: without it
 * there is no reading what the HSM kept. */
export function openHsmStore(hsmsDirectory: string, hsmId: string): RecordStore {
  const directory = join(hsmsDirectory, hsmId);
  const keyFile = join(directory, 'sealing.key');
  const key = readFileIfPresent(keyFile);
  if (key?.length !== SEALING_KEY_BYTES) {
    const state =
      key === undefined ? 'is missing' : `has ${key.length} bytes instead of ${SEALING_KEY_BYTES}`;
    throw commandFailure(
      'CORRUPT_STORE',
      `${keyFile} ${state}: the keys of ${hsmId} cannot be read without it`,
    );
  }
  const store = sealedStore(openLmdbStore(join(directory, 'store')), key, hsmId);
  key.fill(0);
  return store;
}

async function provisionHsm(directory: string, hsmId: string, provisioning: Provisioning): Promise<void> {
  const sealingKey = randomBytes(SEALING_KEY_BYTES);
  writePrivateFile(join(directory, hsmId, 'sealing.key'), sealingKey);
  sealingKey.fill(0);
  const store = openHsmStore(directory, hsmId);
  await Hsm.provision(store, provisioning);
  await store.close();
}

async function newUsers(home: Home): Promise<NewUser[]> {
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
  const users = await newUsers(home);
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
  writePrivateFile(home.clusterFile, `${JSON.stringify(file, null, 2)}\n`);
  return file;
}

/** cluster.json stands for HSMs that are all there; this puts them into their place, also after a crash in between. */
function placeNewHsms(home: Home): void {
  if (existsSync(home.newHsmsDirectory) && !existsSync(home.hsmsDirectory)) {
    renameSync(home.newHsmsDirectory, home.hsmsDirectory);
  }
}

/** What the home was made with cannot be changed by starting it in another way. */
function checkUnchanged(file: ClusterFile, requested: Partial<Config>, home: Home): void {
  const differences: [string, unknown, unknown][] = [
    ['hsms', requested.hsms, file.hsms.length],
    ['hsmType', requested.hsmType, file.hsmType],
    ['mode', requested.mode, file.mode],
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
function hsmSettings(config: Config, { hsmType, mode }: ClusterFile): Omit<HsmSettings, 'id' | 'ordinal'> {
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
 * The home's cluster, made on the first start, ready to be used. `requested` holds the settings the user stated:
 * those must be the home's. Throws BAD_CONFIGURATION or CORRUPT_STORE.
 */
export async function openCluster(
  home: Home,
  config: Config,
  requested: Partial<Config>,
  log: Log,
  progress: (step: string) => void,
): Promise<Cluster> {
  const present = readClusterFile(home);
  if (present !== undefined) checkUnchanged(present, requested, home);
  const file = present ?? (await createCluster(home, config, progress));
  placeNewHsms(home);
  const shared = hsmSettings(config, file);
  const hsms: Hsm[] = [];
  for (const { id, ordinal } of file.hsms) {
    progress(`starting ${id}`);
    const settings = { id, ordinal, ...shared };
    hsms.push(await Hsm.open(openHsmStore(home.hsmsDirectory, id), settings, log));
  }
  return new Cluster({ id: file.id, hsmType: file.hsmType, mode: file.mode }, hsms);
}
