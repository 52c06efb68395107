import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { open, type Transaction } from 'lmdb';
import { commandFailure, Failure } from '../base/errors.js';
import { makeFolder, syncFolder } from '../base/files.js';
import { notWritten } from './disk-room.js';
import { Journal } from './journal.js';
import type { StoredChange } from './journal-frame.js';
import { JournaledWrites } from './journaled-writes.js';
import { mergedKeys, PendingChanges } from './pending.js';
import { type Change, endOfPrefix, type RecordStore, recordKey } from './record-store.js';

const NOTHING = Buffer.alloc(0);
const reportedByBatch = (): void => undefined;

/** lmdb's own promise behind an error of a failed commit. */
function failedCommit(error: unknown): Promise<unknown> | undefined {
  return error instanceof Error && 'commitError' in error
    ? (error.commitError as Promise<unknown>)
    : undefined;
}

/** lmdb says what the system answered as soon as it has rejected the write. */
const REASON_TIMEOUT_MS = 100;

/** Why a commit failed, in the system's words where lmdb has them. */
async function reasonOf(error: unknown): Promise<unknown> {
  const reason = failedCommit(error)?.catch((said: unknown) => said);
  return (await Promise.race([reason, sleep(REASON_TIMEOUT_MS)])) ?? error;
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

/** Up to which frame of the journal everything is in LMDB: u64. No table has the byte. */
const APPLIED = Buffer.from([0]);

/** What lmdb's types leave out: who calls it calls `done` as well, once more than everybody else. */
interface SharedTransaction extends Transaction {
  use(): void;
}

/** For reads of one state of LMDB. */
interface AtThatTime {
  readonly transaction: SharedTransaction;
}

type Database = ReturnType<typeof open<Buffer, Buffer>>;

function openDatabase(directory: string): Database {
  makeFolder(directory, 0o700);
  const isNew = !existsSync(join(directory, 'data.mdb'));
  const options = {
    path: directory,
    keyEncoding: 'binary',
    encoding: 'binary',
    overlappingSync: false,
    permissionsMode: 0o600,
    maxDbs: 1,
  } as const;
  const database = open<Buffer, Buffer>(options);
  // lmdb syncs what is in its file, not that there is one.
  if (isNew) syncFolder(directory);
  return database;
}

/** A commit that has been synced when it resolves: `overlappingSync` is off. In the order of their keys pages are filled one after the
 * other, and stay full. */
async function commit(
  db: Database,
  changes: readonly StoredChange[],
  applied: number | undefined,
): Promise<void> {
  const mark = Buffer.alloc(8);
  mark.writeBigUInt64LE(BigInt(applied ?? 0));
  try {
    await db.batch(() => {
      if (applied !== undefined) db.put(APPLIED, mark).catch(reportedByBatch);
      for (const { key, value } of changes) {
        if (value === undefined) db.remove(key).catch(reportedByBatch);
        else db.put(key, value).catch(reportedByBatch);
      }
    });
  } catch (error) {
    throw notWritten(await reasonOf(error));
  }
}

/**
 * What LMDB had after its last commit, which is what everybody reads, until the next one. Where a disk fails in the middle of a commit
 * LMDB begins no transaction any more (MDB_PANIC): this one goes on, and with it all that is there.
 */
class LastCommit {
  #at: AtThatTime;

  constructor(private readonly db: Database) {
    this.#at = this.#now();
  }

  #now(): AtThatTime {
    // It may be that of an earlier read in this turn of the event loop.
    this.db.resetReadTxn();
    return { transaction: this.db.useReadTransaction() as SharedTransaction };
  }

  get at(): AtThatTime {
    return this.#at;
  }

  /** Goes on to a commit that has been made. */
  advance(): void {
    const before = this.#at;
    this.#at = this.#now();
    before.transaction.done();
  }

  /** For whoever reads longer than until something else is done, and says when that is done. */
  share(): AtThatTime {
    this.#at.transaction.use();
    return this.#at;
  }

  release(): void {
    this.#at.transaction.done();
  }
}

interface Opened {
  readonly db: Database;
  readonly lastCommit: LastCommit;
  readonly pending: PendingChanges;
  readonly writes: JournaledWrites;
}

/** What LMDB has, and what is in the journal and not there yet. */
function openBoth(directory: string): Opened {
  let db: Database | undefined;
  try {
    db = openDatabase(directory);
    const applied = Number(db.getBinary(APPLIED)?.readBigUInt64LE() ?? 0);
    const { journal, frames } = Journal.open(directory, applied);
    const pending = new PendingChanges();
    for (const frame of frames) pending.add(frame);
    const database = db;
    const lastCommit = new LastCommit(db);
    // What is no longer pending then is in LMDB for all who read.
    const writes = new JournaledWrites(directory, journal, pending, async (changes, upTo) => {
      await commit(database, changes, upTo);
      lastCommit.advance();
    });
    return { db, lastCommit, pending, writes };
  } catch (error) {
    db?.close().catch(reportedByBatch);
    throw error instanceof Failure
      ? error
      : commandFailure('CORRUPT_STORE', `the store in ${directory} cannot be opened`, error);
  }
}

/**
 * Opens the store in `directory`, which is made if need be (0700, its files 0600): LMDB behind a journal (docs/STORAGE.md, "The
 * journal"). A write is in the journal when it is reported, and in LMDB soon afterwards; readers see both.
 *
 * Throws CORRUPT_STORE when the files there are no such store.
 */
export function openLmdbStore(directory: string): RecordStore {
  const { db, lastCommit, pending, writes } = openBoth(directory);
  let closed = false;
  let snapshots = 0;
  let released = (): void => undefined;
  // lmdb itself does not look: whoever reads a store that is closed, or closes one that is being read, ends the process.
  const hasBeenClosed = (): Failure =>
    new Failure('CKR_DEVICE_REMOVED', `the store in ${directory} has been closed`);
  const requireOpen = (): void => {
    if (closed) throw hasBeenClosed();
  };
  function* keysAt(at: AtThatTime, start: Buffer, later: PendingChanges): Generator<Buffer> {
    const end = endOfPrefix(start);
    for (const key of mergedKeys(db.getKeys({ start, end, ...at }), later.range(start, end))) {
      yield Buffer.from(key.subarray(1));
      requireOpen();
    }
  }
  // As they are now, whatever is written while somebody reads them.
  function* keysOf(start: Buffer): Generator<Buffer> {
    requireOpen();
    const at = lastCommit.share();
    try {
      yield* keysAt(at, start, pending);
    } finally {
      // Closing has ended it.
      if (!closed) at.transaction.done();
    }
  }
  return {
    get: (table, key) => {
      requireOpen();
      const at = recordKey(table, key);
      const change = pending.get(at);
      if (change === undefined) return db.get(at, lastCommit.at);
      const { value } = change;
      return value && Buffer.from(value);
    },
    keys: (table, prefix = NOTHING) => keysOf(recordKey(table, prefix)),
    count: (table, prefix) => {
      requireOpen();
      const start = recordKey(table, prefix);
      const end = endOfPrefix(start);
      let count = db.getKeysCount({ start, end, ...lastCommit.at });
      for (const { key, isRemoval } of pending.range(start, end))
        count += Number(!isRemoval) - Number(db.get(key, lastCommit.at) !== undefined);
      return count;
    },
    write: (changes: readonly Change[]) => {
      if (closed) return Promise.reject(hasBeenClosed());
      return changes.length === 0 ? Promise.resolve() : writes.write(changes);
    },
    snapshot: () => {
      requireOpen();
      const state = lastCommit.share();
      const then = pending.copy();
      snapshots++;
      return {
        get: (table, key) => {
          requireOpen();
          const at = recordKey(table, key);
          const change = then.get(at);
          const value = change === undefined ? db.get(at, state) : change.value;
          return value && Buffer.from(value);
        },
        keys: (table) => keysAt(state, recordKey(table, NOTHING), then),
        release: () => {
          state.transaction.done();
          snapshots--;
          if (snapshots === 0) released();
        },
      };
    },
    close: async () => {
      closed = true;
      await writes.close();
      if (snapshots > 0)
        await new Promise<void>((resolve) => {
          released = resolve;
        });
      lastCommit.release();
      await db.close();
    },
  };
}
