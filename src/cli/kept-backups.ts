import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../base/config.js';
import { commandFailure, describeIssues } from '../base/errors.js';
import { archiveSchema, type EncryptedArchive, openArchive } from '../control-plane/archive/archive.js';
import type { BackupLocation } from '../control-plane/backup-archive.js';
import { Catalogue } from '../control-plane/state/catalogue.js';
import { openLmdbStore } from '../store/lmdb-store.js';
import { type ListedBackup, listedBackups } from './backups.js';
import type { Home } from './home.js';

export const catalogueDirectory = (home: Home): string => join(home.controlPlaneDirectory, 'catalogue');

/** Where the configuration keeps the home's backups. Throws BAD_CONFIGURATION. */
export function openHomeArchive(home: Home, { backups }: Config): EncryptedArchive {
  const result = archiveSchema.safeParse(backups);
  if (result.success)
    return openArchive(result.data, { backups: home.backupsDirectory, keys: home.archiveKeysDirectory });
  const issues = result.error.issues.map(({ path, message }) => ({ path: ['backups', ...path], message }));
  throw commandFailure('BAD_CONFIGURATION', `the configuration cannot be used: ${describeIssues(issues)}`);
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
