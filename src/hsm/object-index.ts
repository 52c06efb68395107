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

function valuePrefix(type: number, value: Buffer): Buffer {
  const prefix = Buffer.alloc(4 + VALUE_HASH_BYTES);
  prefix.writeUInt32BE(type, 0);
  digest('sha256', value).copy(prefix, 4, 0, VALUE_HASH_BYTES);
  return prefix;
}

/** A handle as a key: big-endian, so that byte order is number order. */
export function handleKey(handle: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(Math.floor(handle / 2 ** 32), 0);
  key.writeUInt32BE(handle % 2 ** 32, 4);
  return key;
}

function handleAt(key: Buffer, at: number): number {
  return key.readUInt32BE(at) * 2 ** 32 + key.readUInt32BE(at + 4);
}

const PRESENT = Buffer.alloc(0);

/** The index entries to write, or to remove, along with an object. */
export function indexChanges(object: HsmObject, present: boolean): Change[] {
  return indexed.flatMap(({ type }) => {
    const value = object.attributes.get(type);
    if (value === undefined || value.length === 0) return [];
    const key = Buffer.concat([valuePrefix(type, value), handleKey(object.handle)]);
    return [{ table: 'index', key, value: present ? PRESENT : undefined } as const];
  });
}

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

  /** To be called when an object has been written, or removed. */
  note({ attributes, handle }: HsmObject, isPresent: boolean): void {
    for (const { type, handles } of this.#tables.values()) {
      const value = attributes.get(type);
      if (value === undefined || value.length === 0) continue;
      const hash = hashOf(value);
      if (isPresent) handles.add(hash, handle);
      else handles.remove(hash, handle);
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
    for (const key of this.store.keys('index', prefix)) yield handleAt(key, 4 + VALUE_HASH_BYTES);
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
          table.handles.add(hashIn(key), handleAt(key, 4 + VALUE_HASH_BYTES));
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
