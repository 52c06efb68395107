import { digest } from '../crypto/index.js';
import type { HsmObject } from '../objects/hsm-object.js';
import { CKA } from '../pkcs11/attributes.js';
import type { Template } from '../pkcs11/template.js';
import type { Change, RecordStore } from '../store/record-store.js';

/*
 * The search index of token objects: for each indexed attribute one entry without a value under
 *
 *   u32 attribute, 16 bytes SHA-256 of its value (big-endian, cut), u64 handle
 *
 * so a search by label costs the same among ten keys and among a hundred thousand.
 */

/** Indexed attributes, the most telling first: a search uses the first one its template has. */
const indexed: readonly number[] = [
  CKA.CKA_ID,
  CKA.CKA_LABEL,
  CKA.CKA_MODULUS,
  CKA.CKA_EC_POINT,
  CKA.CKA_VALUE,
  CKA.CKA_SUBJECT,
  CKA.CKA_KEY_TYPE,
  CKA.CKA_CLASS,
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
  return indexed.flatMap((type) => {
    const value = object.attributes.get(type);
    if (value === undefined || value.length === 0) return [];
    const key = Buffer.concat([valuePrefix(type, value), handleKey(object.handle)]);
    return [{ table: 'index', key, value: present ? PRESENT : undefined } as const];
  });
}

/** Answers kept for the next search: so many, of so few handles, for values so short. */
const KEPT_ANSWERS = 20_000;
const KEPT_HANDLES = 16;
const KEPT_VALUE_BYTES = 256;

/** Finds token objects by their attributes. Programs search for the same few labels and ids again and again, so answers
 * are kept until an object that has the attribute comes, changes or goes. */
export class ObjectIndex {
  readonly #answers = new Map<string, readonly number[]>();

  constructor(private readonly store: RecordStore) {}

  /** Handles of the token objects that may match: all those that have the template's most telling attribute, or all
   * there are. In ascending order. */
  candidates(template: Template): Iterable<number> {
    for (const type of indexed) {
      const entry = template.find((candidate) => candidate.type === type);
      if (entry !== undefined && entry.value.length > 0) return this.#having(type, entry.value);
    }
    return this.#all();
  }

  /** How many objects have this value of an indexed attribute. */
  count(type: number, value: Buffer): number {
    return this.store.count('index', valuePrefix(type, value));
  }

  /** To be called when objects with these attributes have been written or removed. */
  forget({ attributes }: HsmObject): void {
    for (const type of indexed) {
      const value = attributes.get(type);
      if (value !== undefined && value.length <= KEPT_VALUE_BYTES) this.#answers.delete(nameOf(type, value));
    }
  }

  *#all(): Iterable<number> {
    for (const key of this.store.keys('objects')) yield handleAt(key, 0);
  }

  #having(type: number, value: Buffer): Iterable<number> {
    if (value.length > KEPT_VALUE_BYTES) return this.#read(type, value);
    return this.#answers.get(nameOf(type, value)) ?? this.#readAndKeep(type, value);
  }

  *#read(type: number, value: Buffer): Iterable<number> {
    for (const key of this.store.keys('index', valuePrefix(type, value)))
      yield handleAt(key, 4 + VALUE_HASH_BYTES);
  }

  *#readAndKeep(type: number, value: Buffer): Iterable<number> {
    const handles: number[] = [];
    for (const handle of this.#read(type, value)) {
      if (handles.length <= KEPT_HANDLES) handles.push(handle);
      yield handle;
    }
    if (handles.length > KEPT_HANDLES) return;
    if (this.#answers.size >= KEPT_ANSWERS) this.#answers.delete(this.#answers.keys().next().value!);
    this.#answers.set(nameOf(type, value), handles);
  }
}

const nameOf = (type: number, value: Buffer): string => `${type} ${value.toString('latin1')}`;
