import { digest } from '../crypto/index.js';
import type { HsmObject } from '../objects/hsm-object.js';
import { CKA } from '../pkcs11/attributes.js';
import type { Template } from '../pkcs11/template.js';
import type { Change, RecordStore } from '../store/record-store.js';
import { HandleTable } from './handle-table.js';

/*
 * The search index of token objects: for each indexed attribute one entry without a value under
 *
 *   u32 attribute, 16 bytes SHA-256 of its value (big-endian, cut), u64 handle
 *
 * so a search by label costs the same among ten keys and among a hundred thousand.
 */

interface IndexedAttribute {
  readonly type: number;
  /** A few values of very many objects. */
  readonly isCommon?: true;
}

/** Indexed attributes, the most telling first: a search uses the first one its template has. */
const indexed: readonly IndexedAttribute[] = [
  { type: CKA.CKA_ID },
  { type: CKA.CKA_LABEL },
  { type: CKA.CKA_MODULUS },
  { type: CKA.CKA_EC_POINT },
  { type: CKA.CKA_VALUE },
  { type: CKA.CKA_SUBJECT },
  { type: CKA.CKA_KEY_TYPE, isCommon: true },
  { type: CKA.CKA_CLASS, isCommon: true },
];

const VALUE_HASH_BYTES = 16;

const VALUE_END = 4 + VALUE_HASH_BYTES;
const ENTRY_BYTES = VALUE_END + 8;

function valuePrefix(type: number, value: Buffer): Buffer {
  const prefix = Buffer.allocUnsafe(VALUE_END);
  prefix.writeUInt32BE(type, 0);
  prefix.set(digest('sha256', value).subarray(0, VALUE_HASH_BYTES), 4);
  return prefix;
}

/** Of the few values that very many objects have. */
const commonPrefixes = new Map<string, Buffer>();
const KEPT_PREFIXES = 256;

function commonPrefix(type: number, value: Buffer): Buffer {
  const name = `${type} ${value.toString('latin1')}`;
  const known = commonPrefixes.get(name);
  if (known !== undefined) return known;
  const prefix = valuePrefix(type, value);
  if (commonPrefixes.size < KEPT_PREFIXES) commonPrefixes.set(name, prefix);
  return prefix;
}

/** A handle as a key: big-endian, so that byte order is number order. */
export function handleKey(handle: number): Buffer {
  const key = Buffer.allocUnsafe(8);
  writeHandle(key, handle, 0);
  return key;
}

export function writeHandle(key: Buffer, handle: number, at: number): void {
  // Not `%`, which takes twice as long for such numbers.
  const high = Math.floor(handle / 2 ** 32);
  key.writeUInt32BE(high, at);
  key.writeUInt32BE(handle - high * 2 ** 32, at + 4);
}

function handleAt(key: Buffer, at: number): number {
  return key.readUInt32BE(at) * 2 ** 32 + key.readUInt32BE(at + 4);
}

const PRESENT = Buffer.alloc(0);

/** The keys of an object's index entries. */
export function indexKeys({ attributes, handle }: HsmObject): Buffer[] {
  const keys: Buffer[] = [];
  for (const { type, isCommon } of indexed) {
    const value = attributes.get(type);
    if (value === undefined || value.length === 0) continue;
    const key = Buffer.allocUnsafe(ENTRY_BYTES);
    key.set(isCommon ? commonPrefix(type, value) : valuePrefix(type, value));
    writeHandle(key, handle, VALUE_END);
    keys.push(key);
  }
  return keys;
}

/** The index entries to write, or to remove, along with an object. */
export const indexChanges = (keys: readonly Buffer[], present: boolean): Change[] =>
  keys.map((key) => ({ table: 'index', key, value: present ? PRESENT : undefined }));

/** What is read of the index in one go while a table is filled: so many entries, about, and so many of 256 ranges. */
const FILLED_ENTRIES = 300;
const FILLED_RANGES = 16;
const RANGES = 256;

/** The entries of one attribute in memory. */
interface Table {
  readonly type: number;
  readonly handles: HandleTable;
  /** The first byte of the hashes that are still to be read. */
  next: number;
}

/** What a table has of a value's hash, and an entry of the index. */
const hashOf = (value: Buffer): number => digest('sha256', value).readUInt32BE(0);
const typeIn = (entry: Buffer): number => entry.readUInt32BE(0);
const hashIn = (entry: Buffer): number => entry.readUInt32BE(4);

/**
 * Finds token objects by their attributes. An attribute that has been asked for once is in memory soon, 16 to 32 bytes for each
 * object that has it: until then, and for values of many objects, the store is asked.
 */
export class ObjectIndex {
  readonly #tables = new Map<number, Table>();
  #ended = false;

  constructor(private readonly store: RecordStore) {}

  /** Reads nothing any more of its own accord. */
  end(): void {
    this.#ended = true;
  }

  /** Handles of the token objects that may match: all those that have the template's most telling attribute, or all
   * there are. In ascending order. */
  candidates(template: Template): Iterable<number> {
    for (const attribute of indexed) {
      const entry = template.find(({ type }) => type === attribute.type);
      if (entry !== undefined && entry.value.length > 0) return this.#having(attribute, entry.value);
    }
    return this.#all();
  }

  /** How many objects have this value of an indexed attribute. */
  count(type: number, value: Buffer): number {
    return this.store.count('index', valuePrefix(type, value));
  }

  /** To be called when entries have been written, or removed. */
  note(keys: readonly Buffer[], isPresent: boolean): void {
    if (this.#tables.size === 0) return;
    for (const key of keys) {
      const handles = this.#tables.get(typeIn(key))?.handles;
      if (isPresent) handles?.add(hashIn(key), handleAt(key, VALUE_END));
      else handles?.remove(hashIn(key), handleAt(key, VALUE_END));
    }
  }

  *#all(): Iterable<number> {
    for (const key of this.store.keys('objects')) yield handleAt(key, 0);
  }

  #having({ type, isCommon }: IndexedAttribute, value: Buffer): Iterable<number> {
    if (isCommon === undefined) {
      const table = this.#tables.get(type) ?? this.#newTable(type);
      const found = table.next === RANGES ? table.handles.find(hashOf(value)) : undefined;
      if (found !== undefined) return found;
    }
    return this.#read(valuePrefix(type, value));
  }

  *#read(prefix: Buffer): Iterable<number> {
    for (const key of this.store.keys('index', prefix)) yield handleAt(key, VALUE_END);
  }

  #newTable(type: number): Table {
    const table = { type, handles: new HandleTable(), next: 0 };
    this.#tables.set(type, table);
    setImmediate(() => this.#fill(table));
    return table;
  }

  /** Reads a part of an attribute's entries; others get their turn between the parts. */
  #fill(table: Table): void {
    if (this.#ended) return;
    const prefix = Buffer.alloc(5);
    prefix.writeUInt32BE(table.type);
    let entries = 0;
    try {
      for (let left = FILLED_RANGES; left > 0 && table.next < RANGES && entries < FILLED_ENTRIES; left--) {
        prefix[4] = table.next;
        for (const key of this.store.keys('index', prefix)) {
          table.handles.add(hashIn(key), handleAt(key, VALUE_END));
          entries++;
        }
        table.next++;
      }
    } catch {
      // The store cannot be read now: whoever asks for something is told, and begins again.
      this.#tables.delete(table.type);
      return;
    }
    if (table.next < RANGES) setImmediate(() => this.#fill(table));
  }
}
