import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../base/config.js';
import { commandFailure } from '../base/errors.js';
import { archiveSchema, type EncryptedArchive, openArchive } from '../control-plane/archive/archive.js';
import type { BackupLocation } from '../control-plane/backup-archive.js';
import { Catalogue } from '../control-plane/state/catalogue.js';
import type { BackupRecord } from '../control-plane/state/records.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import type { Home } from './home.js';
import { bold, table } from './terminal.js';

/** A backup as `cloudhsm-local backups` shows it. */
export interface ListedBackup {
  readonly id: string;
  readonly state: BackupRecord['state'];
  readonly account: string;
  readonly region: string;
  readonly clusterId: string;
  readonly hsmType: string;
  readonly mode: string;
  readonly createdAt: string;
  readonly deleteAt?: string;
  /** Of a copy: what it is a copy of. */
  readonly sourceBackup?: string;
  /** Where its bytes are; none when they are gone, or not there yet. */
  readonly place?: string;
}

const timeText = (ms: number): string => new Date(ms).toISOString();

/** Oldest first. */
export function listedBackups(
  records: readonly BackupRecord[],
  archive: { place(at: BackupLocation): string | undefined },
): ListedBackup[] {
  return [...records]
    .sort((one, other) => one.createdMs - other.createdMs || (one.id < other.id ? -1 : 1))
    .map((record): ListedBackup => {
      const { id, state, account, region, clusterId, hsmType, mode, createdMs, deleteAtMs, copy } = record;
      const isKept = state === 'READY' || state === 'PENDING_DELETION';
      const place = isKept ? archive.place({ account, region, backupId: id }) : undefined;
      return {
        id,
        state,
        account,
        region,
        clusterId,
        hsmType,
        mode,
        createdAt: timeText(createdMs),
        ...(deleteAtMs !== undefined && { deleteAt: timeText(deleteAtMs) }),
        ...(copy !== undefined && { sourceBackup: copy.sourceBackup }),
        ...(place !== undefined && { place }),
      };
    });
}

export const catalogueDirectory = (home: Home): string => join(home.controlPlaneDirectory, 'catalogue');

/** Where the configuration keeps the home's backups. Throws BAD_CONFIGURATION. */
export function openHomeArchive(home: Home, { backups }: Config): EncryptedArchive {
  const result = archiveSchema.safeParse(backups);
  if (result.success)
    return openArchive(result.data, { backups: home.backupsDirectory, keys: home.archiveKeysDirectory });
  const problems = result.error.issues.map(({ path, message }) => `backups.${path.join('.')}: ${message}`);
  throw commandFailure('BAD_CONFIGURATION', `the configuration cannot be used: ${problems.join('; ')}`);
}

/** The backups of a home whose engine has ended. A home that never had any has none. Throws BAD_CONFIGURATION or CORRUPT_STORE. */
export async function keptBackups(home: Home, config: Config): Promise<readonly ListedBackup[]> {
  const directory = catalogueDirectory(home);
  if (!existsSync(directory)) return [];
  const archive = openHomeArchive(home, config);
  // The engine may have had another configuration than the one that is stated now, or none that is.
  const place = (at: BackupLocation): string | undefined => {
    const stated = archive.place(at);
    return config.backups?.s3 !== undefined || existsSync(stated) ? stated : undefined;
  };
  const store = openLmdbStore(directory);
  try {
    const catalogue = await Catalogue.open(store);
    return listedBackups(catalogue.all('backup'), { place });
  } finally {
    await store.close();
  }
}

const headings = ['BACKUP', 'STATE', 'CLUSTER', 'HSM TYPE', 'MODE', 'REGION', 'CREATED', 'KEPT IN'];

export function backupsPage(backups: readonly ListedBackup[]): string {
  if (backups.length === 0)
    return 'There are no backups: the service makes them when a cluster is activated, when HSMs come and go, and once a day.';
  const rows = backups.map(({ id, state, clusterId, hsmType, mode, region, createdAt, place = '-' }) => [
    id,
    state,
    clusterId,
    hsmType,
    mode,
    region,
    createdAt,
    place,
  ]);
  const [first, ...rest] = table([headings, ...rows]).split('\n');
  return [bold(first!), ...rest].join('\n');
}
