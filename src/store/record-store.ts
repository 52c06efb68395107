/**
 * What an HSM, or the control plane, keeps on disk: records under keys, in a few tables. Two layers: drivers (LMDB, memory) move bytes, the
 * sealing layer between them and the HSM encrypts. docs/STORAGE.md describes the bytes.
 */

/** THE row per table: its first key byte, and whether its values are sealed. Index entries, tombstones, versions and withdrawals
 * have none. */
export const tables = {
  settings: { prefix: 1, sealed: true },
  users: { prefix: 2, sealed: true },
  objects: { prefix: 3, sealed: true },
  index: { prefix: 4, sealed: false },
  /** Handles of objects that were destroyed. */
  tombstones: { prefix: 5, sealed: false },
  /** Which version of each object is stored (src/hsm/object-versions.ts). */
  versions: { prefix: 6, sealed: false },
  audit: { prefix: 7, sealed: true },
  /** Up to which version objects were taken back that had not come to be on all HSMs (src/hsm/object-versions.ts). */
  withdrawals: { prefix: 8, sealed: false },
  /** How many users of a name have been deleted (src/hsm/user-identity.ts). */
  formerUsers: { prefix: 9, sealed: true },
  /** The control plane's, in a store of its own (src/control-plane/state/catalogue.ts): nothing of it is secret. */
  catalogue: { prefix: 16, sealed: false },
} as const;

export type TableName = keyof typeof tables;

export interface Change {
  readonly table: TableName;
  readonly key: Buffer;
  /** undefined removes the record. */
  readonly value: Buffer | undefined;
}

/** A store as it was when the snapshot was taken, whatever is written meanwhile. */
export interface Snapshot {
  get(table: TableName, key: Buffer): Buffer | undefined;
  keys(table: TableName): Iterable<Buffer>;
  /** To be called, once: old records are kept for it, and the store is not closed before. */
  release(): void;
}

export interface RecordStore {
  get(table: TableName, key: Buffer): Buffer | undefined;
  /** Keys that start with `prefix`, in byte order. */
  keys(table: TableName, prefix?: Buffer): Iterable<Buffer>;
  /** How many keys start with `prefix`. */
  count(table: TableName, prefix: Buffer): number;
  /** All of the changes or none; synced to disk when the promise resolves. */
  write(changes: readonly Change[]): Promise<void>;
  snapshot(): Snapshot;
  close(): Promise<void>;
}

const NOTHING = Buffer.alloc(0);

/** A record's key on disk, behind `before`: the table's byte, then its own. */
export function recordKey(table: TableName, key: Buffer, before = NOTHING): Buffer {
  const prefixAt = before.length;
  const at = Buffer.allocUnsafe(prefixAt + 1 + key.length);
  if (prefixAt > 0) at.set(before);
  at[prefixAt] = tables[table].prefix;
  at.set(key, prefixAt + 1);
  return at;
}

/** The first key behind all keys that start with `prefix`. */
export function endOfPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  for (let at = end.length - 1; at >= 0; at--) {
    if (end[at]! < 0xff) {
      end[at]!++;
      return end.subarray(0, at + 1);
    }
  }
  return Buffer.concat([prefix, Buffer.alloc(64, 0xff)]);
}
