import { type Clock, systemClock } from '../../base/clock.js';
import { describeError } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import type { Log } from '../../base/log.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { handleKey } from '../object-index.js';
import { decodeBlock, encodeBlock, hashOf, previousHashOf } from './block.js';
import { encodeHead, HEAD, type Head, headIn, problemOf, sequenceOf } from './chain.js';
import type { AuditEntry, AuditRecord } from './entry.js';

/** What waits for the disk. */
interface Job {
  readonly entries: readonly AuditEntry[];
  readonly changes: readonly Change[];
  done(): void;
  failed(error: unknown): void;
}

/** Entries that nobody waits for are on disk this soon: a write costs as much processor time as some ten commands. */
const LAZY_MS = 50;
const RETRY_MS = 1000;
/** What waits is written when it is so much, and whoever adds to it waits as well when it is more. */
const JOBS_AT_A_TIME = 512;
const MOST_PENDING_JOBS = 4096;
/** Sealing, hashing and storing cost as much for one entry as for many. */
const ENTRIES_PER_BLOCK = 256;
/** Records that go when the log is too long. */
const ROTATED_AT_A_TIME = 1000;

const nothing = (): void => undefined;
const NO_CHANGES: readonly Change[] = [];

export interface AuditCheck {
  readonly records: number;
  readonly first: number;
  /** What was changed behind the HSM's back; none if nothing was. */
  readonly problem?: string;
}

/**
 * The audit log of one HSM: records that are numbered from 0 without gaps, in blocks of what was written together, each with the
 * hash of the block before. What a command writes and its record are one write: neither is there without the other. Writes go to
 * the disk one after the other, so that one that fails leaves no hole.
 */
export class AuditTrail {
  #head: Head;
  #pending: Job[] = [];
  #writing: Promise<void> | undefined;
  /** Somebody waits for what is pending, or it is much, or has waited long enough. */
  #due = false;
  #timer: NodeJS.Timeout | undefined;
  /** The disk took nothing the last time. */
  #failing = false;

  constructor(
    private readonly store: RecordStore,
    private readonly log: Log,
    private readonly clock: Clock = systemClock,
    private readonly mostRecords: number = limits.auditRecords,
  ) {
    const kept = headIn(store);
    this.#head = { ...kept, rebootCounter: kept.rebootCounter + 1 };
  }

  nowUs(): number {
    return Math.round(this.clock.nowMs() * 1000);
  }

  /** Throws CKR_DEVICE_MEMORY while too much waits for a disk that takes nothing: what cannot be logged is not done. */
  requireRoom(): void {
    if (this.#failing && this.#pending.length >= limits.auditPending)
      throw ckr('CKR_DEVICE_MEMORY', 'the audit log cannot be written: make room on the disk');
  }

  /** Writes changes along with the entries that tell of them. Durable when it resolves. */
  write(changes: readonly Change[], entries: readonly AuditEntry[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ changes, entries, done: resolve, failed: reject });
      this.#start();
    });
  }

  /** Adds an entry; on disk when it resolves, or kept for later where the disk takes nothing. */
  append(entry: AuditEntry): Promise<void> {
    return this.write([], [entry]);
  }

  /** Adds entries that are on disk soon. A promise while too many wait. */
  appendLazily(...entries: readonly AuditEntry[]): Promise<void> | undefined {
    if (this.#pending.length >= MOST_PENDING_JOBS) return this.write([], entries);
    this.#pending.push({ changes: NO_CHANGES, entries, done: nothing, failed: nothing });
    if (this.#pending.length >= JOBS_AT_A_TIME) this.#start();
    else if (this.#writing === undefined) this.#startIn(LAZY_MS);
    return undefined;
  }

  #startIn(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#start(), delayMs).unref();
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#due = true;
    this.#writing ??= this.#writeAll();
  }

  async #writeAll(): Promise<void> {
    // Later in this turn, so that what belongs together is written together.
    await undefined;
    let isTaken = true;
    while (isTaken && this.#due && this.#pending.length > 0) {
      const jobs = this.#pending.splice(0, JOBS_AT_A_TIME);
      this.#due = this.#pending.length > 0;
      isTaken = await this.#writeJobs(jobs);
    }
    this.#writing = undefined;
    if (this.#failing) this.#startIn(RETRY_MS);
    else if (this.#pending.length > 0) this.#due ? this.#start() : this.#startIn(LAZY_MS);
  }

  async #writeJobs(jobs: readonly Job[]): Promise<boolean> {
    try {
      const entries: AuditEntry[] = [];
      const changes: Change[] = [];
      for (const job of jobs) {
        for (const entry of job.entries) entries.push(entry);
        for (const change of job.changes) changes.push(change);
      }
      const head = this.#chain(entries, changes);
      await this.store.write(changes);
      this.#head = head;
      this.#failing = false;
      for (const job of jobs) job.done();
      return true;
    } catch (error) {
      if (!this.#failing) this.log.warn({}, `the audit log was not written: ${describeError(error)}`);
      this.#failing = true;
      // Who writes something is told that it was not written. Entries alone are kept: what they tell has happened.
      const kept = jobs.filter(({ changes }) => changes.length === 0);
      this.#pending.unshift(...kept.map((job) => ({ ...job, done: nothing })));
      for (const job of jobs) job.changes.length > 0 ? job.failed(error) : job.done();
      return false;
    }
  }

  /** Adds the blocks for entries to the changes, and where the chain stands behind them, which it returns as well. */
  #chain(entries: readonly AuditEntry[], changes: Change[]): Head {
    let hash: Buffer = Buffer.from(this.#head.hash, 'hex');
    let { next } = this.#head;
    const { rebootCounter } = this.#head;
    for (let at = 0; at < entries.length; at += ENTRIES_PER_BLOCK) {
      const together = entries.slice(at, at + ENTRIES_PER_BLOCK);
      const value = encodeBlock(hash, next, rebootCounter, together);
      hash = hashOf(value);
      changes.push({ table: 'audit', key: handleKey(next), value });
      next += together.length;
    }
    const rotated = this.#rotated(next);
    const head: Head = { ...this.#head, ...rotated.head, next, hash: hash.toString('hex') };
    changes.push(...rotated.changes, { table: 'settings', key: HEAD, value: encodeHead(head) });
    return head;
  }

  /** Lets the oldest blocks go; the head keeps the hash that the chain goes on from. */
  #rotated(next: number): { head: Partial<Head>; changes: Change[] } {
    const begin = next - this.mostRecords;
    if (begin - this.first < ROTATED_AT_A_TIME) return { head: {}, changes: [] };
    const changes: Change[] = [];
    let last: Buffer | undefined;
    for (const key of this.store.keys('audit')) {
      if (sequenceOf(key) > begin) break;
      if (last !== undefined) changes.push({ table: 'audit', key: last, value: undefined });
      last = key;
    }
    const block = last && this.store.get('audit', last);
    if (last === undefined || block === undefined) return { head: {}, changes: [] };
    const first = sequenceOf(last);
    return { head: { first, firstPrevious: previousHashOf(block).toString('hex') }, changes };
  }

  /** The block that has a record, and the number of its first one. */
  #blockWith(sequence: number): { at: number; block: Buffer } | undefined {
    const least = Math.max(this.first, sequence - ENTRIES_PER_BLOCK + 1);
    for (let at = sequence; at >= least; at--) {
      const block = this.store.get('audit', handleKey(at));
      if (block !== undefined) return { at, block };
    }
    return undefined;
  }

  get first(): number {
    return this.#head.first;
  }

  /** The number of the next record. */
  get next(): number {
    return this.#head.next;
  }

  /** Records from a number on, so many at most. Throws CORRUPT_STORE. */
  read(from: number, count: number): AuditRecord[] {
    const begin = Math.max(from, this.first);
    const end = Math.min(this.next, begin + count);
    const records: AuditRecord[] = [];
    for (let sequence = begin; sequence < end; ) {
      const found = this.#blockWith(sequence);
      const block = found === undefined ? [] : decodeBlock(found.block, found.at);
      const wanted = block.filter((record) => record.sequence >= sequence && record.sequence < end);
      records.push(...wanted);
      // What is missing is left out.
      sequence += Math.max(wanted.length, 1);
    }
    return records;
  }

  /** Whether all records are there as they were written: none was changed, removed, added or put elsewhere. Others get their turn
   * meanwhile; what they add is not looked at. */
  async verify(): Promise<AuditCheck> {
    const known = this.#head;
    const snapshot = this.store.snapshot();
    try {
      const head = headIn(snapshot);
      const check = { records: head.next - head.first, first: head.first };
      const problem =
        head.next < known.next || (head.next === known.next && head.hash !== known.hash)
          ? 'the log is not the one that was written last'
          : await problemOf(snapshot, head);
      return problem === undefined ? check : { ...check, problem };
    } finally {
      snapshot.release();
    }
  }

  /** Writes what waits, as far as the disk takes it. */
  async flush(): Promise<void> {
    if (this.#pending.length > 0) this.#start();
    await this.#writing;
  }

  /** Writes what waits, and nothing any more. */
  async close(): Promise<void> {
    await this.flush();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
