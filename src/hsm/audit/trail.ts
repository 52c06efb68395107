import { setImmediate as otherWork } from 'node:timers/promises';
import { type Clock, systemClock } from '../../base/clock.js';
import { describeError, Failure } from '../../base/errors.js';
import { limits } from '../../base/limits.js';
import type { Log } from '../../base/log.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { handleKey } from '../object-index.js';
import { settingKey } from '../setting-rows.js';
import {
  type AuditEntry,
  type AuditRecord,
  decodeRecord,
  encodeRecord,
  HASH_BYTES,
  hashOf,
  previousHashOf,
} from './entry.js';

/** Where the chain stands; sealed, written along with the records that it counts. */
interface Head {
  readonly rebootCounter: number;
  /** The oldest record that is kept, and the hash of the one before it. */
  readonly first: number;
  readonly firstPrevious: string;
  readonly next: number;
  readonly hash: string;
}

/** What waits for the disk. */
interface Job {
  readonly entries: readonly AuditEntry[];
  readonly changes: readonly Change[];
  done(): void;
  failed(error: unknown): void;
}

const HEAD = settingKey('audit-head');
const NO_HASH = Buffer.alloc(HASH_BYTES).toString('hex');
/** Entries that nobody waits for are on disk this soon. */
const LAZY_MS = 10;
const RETRY_MS = 1000;
const JOBS_AT_A_TIME = 512;
/** Records that go when the log is too long. */
const ROTATED_AT_A_TIME = 1000;
const VERIFIED_AT_A_TIME = 500;
const NOTHING = Buffer.alloc(0);

const nothing = (): void => undefined;

export interface AuditCheck {
  readonly records: number;
  readonly first: number;
  /** What was changed behind the HSM's back; none if nothing was. */
  readonly problem?: string;
}

/**
 * The audit log of one HSM: records that are numbered from 0 without gaps, each with the hash of the one before. What a command
 * writes and its record are one write: neither is there without the other. Writes go to the disk one after the other, so that
 * one that fails leaves no hole.
 */
export class AuditTrail {
  #head: Head;
  #pending: Job[] = [];
  #writing: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** The disk took nothing the last time. */
  #failing = false;

  constructor(
    private readonly store: RecordStore,
    private readonly log: Log,
    private readonly clock: Clock = systemClock,
    private readonly mostRecords: number = limits.auditRecords,
  ) {
    const head = store.get('settings', HEAD);
    const fresh = { rebootCounter: -1, first: 0, firstPrevious: NO_HASH, next: 0, hash: NO_HASH };
    const kept = head === undefined ? fresh : (JSON.parse(head.toString('utf8')) as Head);
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
    if (this.#pending.length >= JOBS_AT_A_TIME) return this.write([], entries);
    this.#pending.push({ changes: [], entries, done: nothing, failed: nothing });
    if (this.#writing === undefined) this.#timer ??= setTimeout(() => this.#start(), LAZY_MS).unref();
    return undefined;
  }

  #start(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    // Later in this turn, so that what belongs together is written together.
    this.#writing ??= Promise.resolve()
      .then(() => this.#writeAll())
      .finally(() => {
        this.#writing = undefined;
        if (this.#failing) this.#timer ??= setTimeout(() => this.#start(), RETRY_MS).unref();
        else if (this.#pending.length > 0) this.#start();
      });
  }

  async #writeAll(): Promise<void> {
    while (this.#pending.length > 0) {
      const jobs = this.#pending.splice(0, JOBS_AT_A_TIME);
      if (await this.#writeJobs(jobs)) continue;
      return;
    }
  }

  async #writeJobs(jobs: readonly Job[]): Promise<boolean> {
    try {
      const { head, changes } = this.#chained(jobs.flatMap((job) => job.entries));
      await this.store.write([...jobs.flatMap((job) => job.changes), ...changes]);
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

  /** The records for entries, and where the chain stands behind them. */
  #chained(entries: readonly AuditEntry[]): { head: Head; changes: Change[] } {
    const { rebootCounter } = this.#head;
    let hash: Buffer = Buffer.from(this.#head.hash, 'hex');
    let { next } = this.#head;
    const changes = entries.map((entry): Change => {
      const sequence = next++;
      const value = encodeRecord(hash, { sequence, rebootCounter, ...entry });
      hash = hashOf(value);
      return { table: 'audit', key: handleKey(sequence), value };
    });
    const rotated = this.#rotated(next);
    const head: Head = { ...this.#head, ...rotated.head, next, hash: hash.toString('hex') };
    const headChange = { table: 'settings', key: HEAD, value: Buffer.from(JSON.stringify(head)) } as const;
    return { head, changes: [...changes, ...rotated.changes, headChange] };
  }

  /** Lets the oldest records go; the head keeps the hash that the chain goes on from. */
  #rotated(next: number): { head: Partial<Head>; changes: Change[] } {
    const { first } = this.#head;
    if (next - first < this.mostRecords + ROTATED_AT_A_TIME) return { head: {}, changes: [] };
    const begin = next - this.mostRecords;
    const oldest = this.store.get('audit', handleKey(begin));
    if (oldest === undefined) return { head: {}, changes: [] };
    const changes = Array.from({ length: begin - first }, (_, at): Change => {
      return { table: 'audit', key: handleKey(first + at), value: undefined };
    });
    return { head: { first: begin, firstPrevious: previousHashOf(oldest).toString('hex') }, changes };
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
    const records: AuditRecord[] = [];
    const begin = Math.max(from, this.first);
    for (let sequence = begin; sequence < Math.min(this.next, begin + count); sequence++) {
      const value = this.store.get('audit', handleKey(sequence));
      if (value !== undefined) records.push(decodeRecord(value));
    }
    return records;
  }

  /** Whether all records are there as they were written: none was changed, removed, added or put elsewhere. Others get their turn
   * meanwhile; what they add is not looked at. */
  async verify(): Promise<AuditCheck> {
    const { next, hash } = this.#head;
    const { first } = this.#head;
    const check = { records: next - first, first };
    let expected = this.#head.firstPrevious;
    for (let sequence = first; sequence < next; sequence++) {
      if (sequence % VERIFIED_AT_A_TIME === 0) await otherWork();
      if (sequence < this.#head.first) {
        // The log was rotated meanwhile.
        sequence = this.#head.first;
        expected = this.#head.firstPrevious;
      }
      const problem = this.#problemOf(sequence, expected);
      if (typeof problem === 'string') return { ...check, problem: `record ${sequence} ${problem}` };
      expected = hashOf(problem).toString('hex');
    }
    if (expected !== hash)
      return { ...check, problem: 'the last record is not the one that was written last' };
    const [stored, counted] = [this.store.count('audit', NOTHING), this.next - this.first];
    if (this.#writing !== undefined || stored === counted) return check;
    return { ...check, problem: `there are ${stored} records instead of ${counted}` };
  }

  /** What is wrong with a record, or its bytes. */
  #problemOf(sequence: number, previousHash: string): string | Buffer {
    let value: Buffer | undefined;
    try {
      value = this.store.get('audit', handleKey(sequence));
    } catch (error) {
      if (error instanceof Failure) return 'was changed, or comes from elsewhere';
      throw error;
    }
    if (value === undefined) return 'is missing';
    if (previousHashOf(value).toString('hex') !== previousHash) return 'does not follow the one before';
    return decodeRecord(value).sequence === sequence ? value : 'is at a wrong place';
  }

  /** Writes what waits. */
  async close(): Promise<void> {
    if (this.#pending.length > 0) this.#start();
    await this.#writing;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
