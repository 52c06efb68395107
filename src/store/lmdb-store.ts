import { mkdirSync } from 'node:fs';
import { open } from 'lmdb';
import { commandFailure } from '../base/errors.js';
import { type Change, endOfPrefix, type RecordStore, recordKey, type TableName } from './record-store.js';

/**
 * Opens the LMDB store in `directory`, which is made if need be (0700, its files 0600).
 *
 * `overlappingSync` is off: with it a write would be reported before it is on disk. Writes that come while another
 * one is being synced share the next commit, so concurrent clients pay for one sync together.
 *
 * Throws CORRUPT_STORE when the files there are no LMDB store.
 */
export function openLmdbStore(directory: string): RecordStore {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const options = {
    path: directory,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    permissionsMode: 0o600,
    maxDbs: 1,
  } as const;
  let db: ReturnType<typeof open<Buffer, Buffer>>;
  try {
    db = open<Buffer, Buffer>(options);
  } catch (error) {
    throw commandFailure('CORRUPT_STORE', `the store in ${directory} cannot be opened`, error);
  }
  return {
    get: (table, key) => db.getBinary(recordKey(table, key)),
    keys: function* (table: TableName, prefix = Buffer.alloc(0)) {
      const start = recordKey(table, prefix);
      for (const key of db.getKeys({ start, end: endOfPrefix(start) })) yield Buffer.from(key.subarray(1));
    },
    write: async (changes: readonly Change[]) => {
      await db.batch(() => {
        for (const { table, key, value } of changes) {
          if (value === undefined) db.remove(recordKey(table, key));
          else db.put(recordKey(table, key), value);
        }
      });
    },
    close: () => db.close(),
  };
}
