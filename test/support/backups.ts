import { BackupKeys, MANUFACTURER_ID } from '../../src/backup/keys.js';
import type { ClusterMode, HsmType } from '../../src/base/cluster-kind.js';
import { type Log, silentLog } from '../../src/base/log.js';
import { randomBytes } from '../../src/crypto/index.js';
import { restoreHsm } from '../../src/hsm/backup/restore.js';
import { Hsm, type HsmSettings } from '../../src/hsm/hsm.js';
import { newMaskingKey } from '../../src/hsm/masking.js';
import { quotas } from '../../src/hsm/quotas.js';
import type { Role } from '../../src/hsm/roles.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { PASSWORD } from './in-process.js';

export const CLUSTER = 'cluster-igklspoyj5v';

export function newBackupKeys(
  manufacturer = MANUFACTURER_ID,
  mkbk = randomBytes(32),
  akbk = randomBytes(32),
): BackupKeys {
  return new BackupKeys(manufacturer, new Map([[1, mkbk]]), new Map([[1, akbk]]));
}

export interface HsmOptions {
  readonly id?: string;
  readonly ordinal?: number;
  readonly hsmType?: HsmType;
  readonly mode?: ClusterMode;
  readonly backupKeys?: BackupKeys;
}

export function settingsOf({
  id = 'hsm-aaaaaaaaaaa',
  ordinal = 1,
  hsmType = 'hsm2m.medium',
  mode = 'FIPS',
  backupKeys,
}: HsmOptions): HsmSettings {
  return {
    id,
    ordinal,
    hsmType,
    mode,
    profile: 'compatible',
    quota: quotas[hsmType],
    certificateStorage: hsmType === 'hsm2m.medium' ? 'on' : 'off',
    ...(backupKeys && { backupKeys }),
  };
}

const firstUsers: readonly [string, Role][] = [
  ['admin', 'CO'],
  ['second_officer', 'CO'],
  ['crypto_user', 'CU'],
  ['other_user', 'CU'],
];

/** An HSM by itself. */
export async function newHsm(options: HsmOptions, store: RecordStore = openMemoryStore()): Promise<Hsm> {
  const passwordHash = await hashNewPassword(PASSWORD);
  const users = firstUsers.map(([name, role]) => ({ name, role, passwordHash }));
  await Hsm.provision(store, { maskingKey: newMaskingKey(), users });
  return Hsm.open(store, settingsOf(options), silentLog);
}

export async function backupOfHsm(hsm: Hsm): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of hsm.backUp(CLUSTER)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A new HSM with the content of a backup. */
export async function restoredHsm(
  container: Buffer,
  options: HsmOptions,
  store: RecordStore = openMemoryStore(),
  log: Log = silentLog,
): Promise<Hsm> {
  const settings = settingsOf({ id: 'hsm-bbbbbbbbbbb', ...options });
  await restoreHsm(store, settings, [container], log);
  return Hsm.open(store, settings, log);
}
