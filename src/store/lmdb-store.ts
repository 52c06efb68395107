import { existsSync, statfsSync, utimesSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open } from 'lmdb';
import { commandFailure, Failure } from '../base/errors.js';
import { makeFolder, syncFolder } from '../base/files.js';
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

const readOnly = (cause: unknown): Failure =>
  new Failure('CKR_TOKEN_WRITE_PROTECTED', 'the disk of the HSM has become read-only', { cause });

/** Why a write failed, for whoever asked for it. */
async function notWritten(error: unknown): Promise<Failure> {
  const reason = failedCommit(error)?.catch((said: unknown) => said);
  const said = await Promise.race([reason, sleep(REASON_TIMEOUT_MS)]);
  return (said as { code?: unknown } | undefined)?.code === constants.errno.EROFS
    ? readOnly(said)
    : new Failure('CKR_DEVICE_MEMORY', 'the record could not be written to disk', { cause: said ?? error });
}

/*
 * A disk that will not take a write is found before: where the system refuses a page, lmdb 3.5.6 writes its message behind the
 * memory it has for it (`last_error` in its mdb.c), which can end the engine. The last of a disk's room is not for new keys, so
 * that an engine can still start and log.
 */
const FREE_FOR_OBJECTS_BYTES = 1024 * 1024;
const FREE_FOR_THE_REST_BYTES = 64 * 1024;

const isOfObject = ({ table, value }: Change): boolean => table === 'objects' && value !== undefined;

function requireWritable(directory: string, changes: readonly Change[]): void {
  const now = new Date();
  try {
    utimesSync(directory, now, now);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EROFS') throw readOnly(error);
  }
  const { bavail, bsize } = statfsSync(directory);
  const freeBytes = changes.some(isOfObject) ? FREE_FOR_OBJECTS_BYTES : FREE_FOR_THE_REST_BYTES;
  if (bavail * bsize >= freeBytes) return;
  const text = `the disk of the HSM is full: less than ${freeBytes / 1024} KiB are free in ${directory}`;
  throw new Failure('CKR_DEVICE_MEMORY', text);
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
  const isNew = !existsSync(join(directory, 'data.mdb'));
  let db: ReturnType<typeof open<Buffer, Buffer>>;
  try {
    db = open<Buffer, Buffer>(options);
    // lmdb syncs what is in its file, not that there is one.
    if (isNew) syncFolder(directory);
  } catch (error) {
    throw commandFailure('CORRUPT_STORE', `the store in ${directory} cannot be opened`, error);
  }
  let closed = false;
  let snapshots = 0;
  let released = (): void => undefined;
  // lmdb itself does not look: whoever reads a store that is closed, or closes one that is being read, ends the process.
  const requireOpen = (): void => {
    if (closed) throw new Failure('CKR_DEVICE_REMOVED', `the store in ${directory} has been closed`);
  };
  return {
    get: (table, key) => {
      requireOpen();
      return db.getBinary(recordKey(table, key));
    },
    keys: function* (table: TableName, prefix = Buffer.alloc(0)) {
      requireOpen();
      const start = recordKey(table, prefix);
      for (const key of db.getKeys({ start, end: endOfPrefix(start) })) {
        yield Buffer.from(key.subarray(1));
        requireOpen();
      }
    },
    count: (table, prefix) => {
      requireOpen();
      const start = recordKey(table, prefix);
      return db.getKeysCount({ start, end: endOfPrefix(start) });
    },
    write: async (changes: readonly Change[]) => {
      requireOpen();
      requireWritable(directory, changes);
      // In the order of their keys pages are filled one after the other, and stay full; of changes to the same key the last one counts.
      const ordered = changes
        .map(({ table, key, value }) => ({ key: recordKey(table, key), value }))
        .sort((one, other) => one.key.compare(other.key));
      try {
        await db.batch(() => {
          for (const { key, value } of ordered) {
            if (value === undefined) db.remove(key).catch(reportedByBatch);
            else db.put(key, value).catch(reportedByBatch);
          }
        });
      } catch (error) {
        throw await notWritten(error);
      }
    },
    snapshot: () => {
      requireOpen();
      const transaction = db.useReadTransaction();
      snapshots++;
      return {
        get: (table, key) => {
          requireOpen();
          const value = db.get(recordKey(table, key), { transaction });
          return value && Buffer.from(value);
        },
        keys: function* (table: TableName) {
          requireOpen();
          const start = recordKey(table, Buffer.alloc(0));
          for (const key of db.getKeys({ start, end: endOfPrefix(start), transaction })) {
            yield Buffer.from(key.subarray(1));
            requireOpen();
          }
        },
        release: () => {
          transaction.done();
          snapshots--;
          if (snapshots === 0) released();
        },
      };
    },
    close: async () => {
      closed = true;
      if (snapshots > 0)
        await new Promise<void>((resolve) => {
          released = resolve;
        });
      await db.close();
    },
  };
}
