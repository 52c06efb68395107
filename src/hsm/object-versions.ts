import { digest } from '../crypto/index.js';
import type { HsmObject } from '../objects/hsm-object.js';
import type { Change, RecordStore } from '../store/record-store.js';
import { counterOf } from './handles.js';
import { handleKey, writeHandle } from './object-index.js';
import type { Write } from './users.js';

/*
 * What an HSM tells another one of the objects it has, so that they find out what one of them missed. For each token object
 * there is one entry without a value under
 *
 *   u64 handle, u32 version, 16 bytes digest (big-endian)
 *
 * and for each destroyed one its tombstone. A new object that was taken back, because not all HSMs took it, leaves a withdrawal: as an
 * entry of its version with the greatest digest, it is later than that version and earlier than the next attempt. Handles fall into buckets; a bucket's digest is the XOR of what is in it, kept
 * up as objects come and go, so that two HSMs that have the same compare a few kilobytes and no more.
 */

const BUCKETS = 256;
export const OBJECT_DIGEST_BYTES = 16;
const bucketOf = (handle: number): number => counterOf(handle) % BUCKETS;

/** What is known of a handle. Version 0: it was destroyed. */
export interface ObjectVersion {
  readonly handle: number;
  readonly version: number;
  readonly digest: Buffer;
}

export const DESTROYED = 0;
const NOTHING = Buffer.alloc(0);

/** Whether `other` is the later state of an object: destruction is final, then the version decides. Of two changes that HSMs
 * made without knowing of each other, all HSMs choose the same one. */
export function isNewer(other: ObjectVersion, own: ObjectVersion | undefined): boolean {
  if (own === undefined) return true;
  if (own.version === DESTROYED) return false;
  if (other.version === DESTROYED) return true;
  if (other.version !== own.version) return other.version > own.version;
  return other.digest.compare(own.digest) > 0;
}

function entryKey({ handle, version, digest: state }: ObjectVersion): Buffer {
  const key = Buffer.allocUnsafe(8 + 4 + state.length);
  writeHandle(key, handle, 0);
  key.writeUInt32BE(version, 8);
  key.set(state, 12);
  return key;
}

/** The handle that a key of one of these tables begins with. */
export const handleIn = (key: Buffer): number => key.readUInt32BE(0) * 2 ** 32 + key.readUInt32BE(4);

function entryOf(key: Buffer): ObjectVersion {
  return { handle: handleIn(key), version: key.readUInt32BE(8), digest: key.subarray(12) };
}

/** The entry of an object that has this digest, to be written along with it. */
export function versionChange({ handle, version }: HsmObject, objectDigest: Buffer): Change {
  const state = objectDigest.subarray(0, OBJECT_DIGEST_BYTES);
  return { table: 'versions', key: entryKey({ handle, version, digest: state }), value: NOTHING };
}

const TOMBSTONE_LABEL = Buffer.from('destroyed');

function tombstoneOf(handle: number): ObjectVersion {
  const named = Buffer.allocUnsafe(TOMBSTONE_LABEL.length + 8);
  named.set(TOMBSTONE_LABEL);
  writeHandle(named, handle, TOMBSTONE_LABEL.length);
  const state = digest('sha256', named);
  return { handle, version: DESTROYED, digest: state.subarray(0, OBJECT_DIGEST_BYTES) };
}

const WITHDRAWN = Buffer.alloc(OBJECT_DIGEST_BYTES, 0xff);

/** The object is gone up to that version: it never came to be on all HSMs. */
export const isWithdrawal = ({ digest: state }: ObjectVersion): boolean => state.equals(WITHDRAWN);

function withdrawalIn(key: Buffer): ObjectVersion {
  return { handle: handleIn(key), version: key.readUInt32BE(8), digest: WITHDRAWN };
}

const withdrawalKey = (entry: ObjectVersion): Buffer => entryKey(entry).subarray(0, -OBJECT_DIGEST_BYTES);

/** Changes that are to be written, and what is to be called when they are. */
interface Marked {
  readonly changes: readonly Change[];
  done(): void;
}

/** What is known of all versions without reading them. */
export interface KeptVersions {
  /** Of all buckets. */
  readonly digests: Buffer;
  /** The greatest handle of which there is or was anything. */
  readonly greatest: number;
}

export class ObjectVersions {
  readonly #buckets = Buffer.alloc(BUCKETS * OBJECT_DIGEST_BYTES);
  /** Objects do not change: what changes is another object. */
  readonly #entries = new WeakMap<HsmObject, ObjectVersion>();
  /** Few, and asked for with each new object; read when that happens first. */
  #withdrawals: Map<number, ObjectVersion> | undefined;
  #greatest = 0;

  /** `digestOf`: a digest of an object that only the cluster's HSMs can make. */
  constructor(
    private readonly store: RecordStore,
    private readonly digestOf: (object: HsmObject) => Buffer,
    /** What `kept` said when the store was closed; without it, all entries are read. */
    kept?: KeptVersions,
  ) {
    if (kept?.digests.copy(this.#buckets) === this.#buckets.length) {
      this.#greatest = kept.greatest;
      return;
    }
    this.#buckets.fill(0);
    for (const key of store.keys('versions')) this.#toggle(entryOf(key));
    for (const key of store.keys('tombstones')) this.#toggle(tombstoneOf(handleIn(key)));
    for (const key of store.keys('withdrawals')) this.#toggle(withdrawalIn(key));
  }

  #toggle({ handle, digest: state }: ObjectVersion): void {
    this.#greatest = Math.max(this.#greatest, handle);
    const start = bucketOf(handle) * OBJECT_DIGEST_BYTES;
    for (let at = 0; at < OBJECT_DIGEST_BYTES; at++) this.#buckets[start + at]! ^= state[at]!;
  }

  #entry(object: HsmObject): ObjectVersion {
    const known = this.#entries.get(object);
    if (known !== undefined) return known;
    const { handle, version } = object;
    const entry = { handle, version, digest: this.digestOf(object).subarray(0, OBJECT_DIGEST_BYTES) };
    this.#entries.set(object, entry);
    return entry;
  }

  /** Stores written before there were versions get theirs. */
  async complete(objects: number, all: () => Iterable<HsmObject>): Promise<void> {
    if (this.store.count('versions', NOTHING) === objects) return;
    for (const object of all()) {
      if (this.find(object.handle) === undefined) await this.write([], undefined, object);
    }
  }

  /** Writes changes together with the versions that they lead from and to. */
  write(
    changes: readonly Change[],
    before: HsmObject | undefined,
    after: HsmObject | undefined,
    write: Write = (all) => this.store.write(all),
  ): Promise<void> {
    const old = before && this.#entry(before);
    const next = after && this.#entry(after);
    const all = [...changes];
    if (old !== undefined) all.push({ table: 'versions', key: entryKey(old), value: undefined });
    if (next !== undefined) all.push({ table: 'versions', key: entryKey(next), value: NOTHING });
    const again = old === undefined && next !== undefined ? this.#notWithdrawn(next.handle) : undefined;
    if (again !== undefined) all.push(...again.changes);
    return write(all).then(() => {
      again?.done();
      if (old !== undefined) this.#toggle(old);
      if (next !== undefined) this.#toggle(next);
    });
  }

  /** What leaves a tombstone. */
  tombstone(handle: number): Marked {
    const { changes, done } = this.#notWithdrawn(handle);
    return {
      changes: [{ table: 'tombstones', key: handleKey(handle), value: NOTHING }, ...changes],
      done: () => {
        done();
        this.#toggle(tombstoneOf(handle));
      },
    };
  }

  withdrawn(handle: number): ObjectVersion | undefined {
    return this.#allWithdrawals().get(handle);
  }

  #allWithdrawals(): Map<number, ObjectVersion> {
    if (this.#withdrawals === undefined) {
      const entries = [...this.store.keys('withdrawals')].map(withdrawalIn);
      this.#withdrawals = new Map(entries.map((entry) => [entry.handle, entry]));
    }
    return this.#withdrawals;
  }

  /** What leaves an object withdrawn up to a version. */
  withdrawal(handle: number, version: number): Marked {
    const { changes, done } = this.#notWithdrawn(handle);
    const entry = { handle, version, digest: WITHDRAWN };
    return {
      changes: [...changes, { table: 'withdrawals', key: withdrawalKey(entry), value: NOTHING }],
      done: () => {
        done();
        this.#allWithdrawals().set(handle, entry);
        this.#toggle(entry);
      },
    };
  }

  #notWithdrawn(handle: number): Marked {
    const entry = this.withdrawn(handle);
    if (entry === undefined) return { changes: [], done: () => undefined };
    const changes: Change[] = [{ table: 'withdrawals', key: withdrawalKey(entry), value: undefined }];
    return {
      changes,
      done: () => {
        this.#allWithdrawals().delete(handle);
        this.#toggle(entry);
      },
    };
  }

  isBuried(handle: number): boolean {
    return this.store.get('tombstones', handleKey(handle)) !== undefined;
  }

  /** Whether the object is stored exactly so. */
  has(object: HsmObject): boolean {
    return this.find(object.handle)?.digest.equals(this.#entry(object).digest) === true;
  }

  isNewer(object: HsmObject): boolean {
    return isNewer(this.#entry(object), this.find(object.handle));
  }

  find(handle: number): ObjectVersion | undefined {
    for (const key of this.store.keys('versions', handleKey(handle))) return entryOf(key);
    return this.isBuried(handle) ? tombstoneOf(handle) : this.withdrawn(handle);
  }

  /** Whether a handle is greater than all of which there is or was anything: there is nothing to look for. */
  isUnheardOf(handle: number): boolean {
    return handle > this.#greatest;
  }

  /** The digests of all buckets. */
  digests(): Buffer {
    return Buffer.from(this.#buckets);
  }

  /** The same, as they are now and will be. */
  get current(): Buffer {
    return this.#buckets;
  }

  /** For the next start. */
  kept(): KeptVersions {
    return { digests: this.digests(), greatest: this.#greatest };
  }

  /** All there is in these buckets, in no order. */
  entries(buckets: readonly number[]): ObjectVersion[] {
    const wanted = new Set(buckets);
    const found: ObjectVersion[] = [];
    for (const key of this.store.keys('versions')) {
      if (wanted.has(bucketOf(handleIn(key)))) found.push(entryOf(key));
    }
    for (const key of this.store.keys('tombstones')) {
      if (wanted.has(bucketOf(handleIn(key)))) found.push(tombstoneOf(handleIn(key)));
    }
    for (const key of this.store.keys('withdrawals')) {
      if (wanted.has(bucketOf(handleIn(key)))) found.push(withdrawalIn(key));
    }
    return found;
  }
}

/** The buckets that differ between two HSMs. */
export function differingBuckets(own: Buffer, other: Buffer): number[] {
  if (own.equals(other)) return [];
  const at = (digests: Buffer, bucket: number): Buffer =>
    digests.subarray(bucket * OBJECT_DIGEST_BYTES, (bucket + 1) * OBJECT_DIGEST_BYTES);
  return Array.from({ length: BUCKETS }, (_, bucket) => bucket).filter(
    (bucket) => !at(own, bucket).equals(at(other, bucket)),
  );
}

export const BUCKET_DIGESTS_BYTES = BUCKETS * OBJECT_DIGEST_BYTES;
export const BUCKET_COUNT = BUCKETS;
