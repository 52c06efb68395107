import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from 'lmdb';
import { commandFailure, Failure } from '../base/errors.js';
import { makeFolder } from '../base/files.js';
import { type Change, endOfPrefix, type RecordStore, recordKey, type TableName } from './record-store.js';

const reportedByBatch = (): void => undefined;

/** lmdb's own promise behind an error of a failed commit. */
function failedCommit(error: unknown): Promise<unknown> | undefined {
  return error instanceof Error && 'commitError' in error
    ? (error.commitError as Promise<unknown>)
    : undefined;
}

/** lmdb says what the system answered as soon as it has rejected the write. */
const REASON_TIMEOUT_MS = 100;

/** Why a write failed, for whoever asked for it. */
async function notWritten(error: unknown): Promise<Failure> {
  const reason = failedCommit(error)?.catch((said: unknown) => said);
  const said = await Promise.race([reason, sleep(REASON_TIMEOUT_MS)]);
  return (said as { code?: unknown } | undefined)?.code === constants.errno.EROFS
    ? new Failure('CKR_TOKEN_WRITE_PROTECTED', 'the disk of the HSM has become read-only', { cause: said })
    : new Failure('CKR_DEVICE_MEMORY', 'the record could not be written to disk', { cause: said ?? error });
}

/** What the system answered, as lmdb passes it on: no other error has a number for its code. */
const isWordOfSystem = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'number';

/** lmdb rejects promises of its own when a commit fails, which nobody can hold. The write itself has reported the
 * failure: an engine must not end for the echo. */
export function isEchoOfFailedCommit(error: unknown): boolean {
  const commit = failedCommit(error);
  commit?.catch(reportedByBatch);
  return commit !== undefined || isWordOfSystem(error);
}

/**
 * Opens the LMDB store in `directory`, which is made if need be (0700, its files 0600).
 *
 * `overlappingSync` is off: with it a write would be reported before it is on disk. Writes that come while another
 * one is being synced share the next commit, so concurrent clients pay for one sync together.
 *
 * Throws CORRUPT_STORE when the files there are no LMDB store.
 */
export function openLmdbStore(directory: string): RecordStore {
  makeFolder(directory, 0o700);
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
    count: (table, prefix) => {
      const start = recordKey(table, prefix);
      return db.getKeysCount({ start, end: endOfPrefix(start) });
    },
    write: async (changes: readonly Change[]) => {
      try {
        await db.batch(() => {
          for (const { table, key, value } of changes) {
            if (value === undefined) db.remove(recordKey(table, key)).catch(reportedByBatch);
            else db.put(recordKey(table, key), value).catch(reportedByBatch);
          }
        });
      } catch (error) {
        throw await notWritten(error);
      }
    },
    snapshot: () => {
      const transaction = db.useReadTransaction();
      return {
        get: (table, key) => {
          const value = db.get(recordKey(table, key), { transaction });
          return value && Buffer.from(value);
        },
        keys: function* (table: TableName) {
          const start = recordKey(table, Buffer.alloc(0));
          for (const key of db.getKeys({ start, end: endOfPrefix(start), transaction }))
            yield Buffer.from(key.subarray(1));
        },
        release: () => transaction.done(),
      };
    },
    close: () => db.close(),
  };
}
