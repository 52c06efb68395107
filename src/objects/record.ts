import { limits } from '../base/limits.js';
import { boolBytes, keptUlong } from '../pkcs11/template.js';
import { MalformedFrame, Reader, Writer } from '../wire/bytes.js';
import { type ChangeMarks, readMarks, writeMarks } from './change-marks.js';
import type { HsmObject, VisibleObject } from './hsm-object.js';
import { isKeyQuorum, type KeyQuorum, NO_KEY_QUORUM } from './key-quorum.js';
import { readAttributes, StoredAttributes, writeAttributes } from './stored-attributes.js';
import type { Attributes } from './template-validator.js';

function attributeValue(reader: Reader): Buffer {
  const lengthBytes = reader.count(limits.attributeBytes, 'bytes of an attribute');
  if (lengthBytes === 1) {
    const byte = reader.u8();
    return byte <= 1 ? boolBytes(byte === 1) : Buffer.from([byte]);
  }
  const value = reader.bytes(lengthBytes);
  return lengthBytes === 8 ? keptUlong(value) : Buffer.from(value);
}

function readWideAttributes(reader: Reader): Attributes {
  const attributes: Attributes = new Map();
  for (let left = reader.count(limits.templateAttributes, 'attributes'); left > 0; left--) {
    const type = reader.u32();
    attributes.set(type, attributeValue(reader));
  }
  return attributes;
}

const readQuorum = (reader: Reader): KeyQuorum => ({ manage: reader.u8(), use: reader.u8() });

interface Head {
  readonly handle: number;
  readonly version: number;
  readonly quorum?: KeyQuorum;
}

/** What is read differently from version to version. */
interface RecordForm {
  readonly version: number;
  head(reader: Reader): Head;
  attributes(reader: Reader): Attributes;
  lengthBytes(reader: Reader, bound: number, what: string): number;
  /** Behind the key, of an object that has any. */
  readonly hasMarks?: true;
}

/** With a quorum, or without. */
function headWithQuorum(handle: number, version: number, quorum: KeyQuorum): Head {
  if (quorum.manage === 0 && quorum.use === 0) return { handle, version };
  if (!isKeyQuorum(quorum)) throw new MalformedFrame('a quorum that no key has');
  return { handle, version, quorum };
}

const wide = {
  attributes: readWideAttributes,
  lengthBytes: (reader: Reader, bound: number, what: string) => reader.count(bound, what),
};

const narrow = {
  attributes: readAttributes,
  lengthBytes: (reader: Reader, bound: number, what: string) => reader.varint(bound, what),
  head: (reader: Reader) => {
    const handle = reader.varint(Number.MAX_SAFE_INTEGER, 'as a handle');
    const version = reader.varint(0xffff_ffff, 'as a version');
    return headWithQuorum(handle, version, readQuorum(reader));
  },
};

/** THE row per version of the record. docs/STORAGE.md describes them byte by byte. */
const forms = {
  /** Of earlier builds. */
  withoutObjectVersion: { version: 1, ...wide, head: (reader) => ({ handle: reader.u64(), version: 1 }) },
  plain: { version: 2, ...wide, head: (reader) => ({ handle: reader.u64(), version: reader.u32() }) },
  /** Only of a key with a quorum: what other objects are, and their digests, stays as it was before there were any. */
  withQuorum: {
    version: 3,
    ...wide,
    head: (reader) => {
      const head = { handle: reader.u64(), version: reader.u32(), quorum: readQuorum(reader) };
      if (!isKeyQuorum(head.quorum)) throw new MalformedFrame('a quorum that no key has');
      return head;
    },
  },
  stored: { version: 4, ...narrow },
  /** Only of an object that was changed, for the same reason. */
  withMarks: {
    version: 5,
    ...wide,
    hasMarks: true,
    head: (reader) => headWithQuorum(reader.u64(), reader.u32(), readQuorum(reader)),
  },
  storedWithMarks: { version: 6, ...narrow, hasMarks: true },
} as const satisfies Record<string, RecordForm>;
const formOf = new Map<number, RecordForm>(Object.values(forms).map((form) => [form.version, form]));

/** Of records that HSMs send each other. */
export const travellingVersions = [forms.plain, forms.withQuorum, forms.withMarks].map(
  ({ version }) => version,
);

/** Without decoding it, whether a record is one of those that an HSM stores now. */
const isStored = (record: Buffer): boolean =>
  record[0] === forms.stored.version || record[0] === forms.storedWithMarks.version;

/** For all records: asking for memory costs as much as filling it. */
const writer = new Writer();

function writeNames(names: readonly string[]): void {
  for (const name of names) {
    const bytes = Buffer.from(name);
    writer.u8(bytes.length);
    writer.bytes(bytes);
  }
  writer.u8(0);
}

/** An object as bytes, as it travels in masked objects and backups, and as its digest is made; HSMs of earlier builds read those of objects that were not
 * changed since they were made: the same bytes for the same object, in whatever order its attributes and its users came. It holds the key in the clear: seal
 * it, and cleanse it. */
export function encodeObject(object: HsmObject): Buffer {
  const { attributes, marks } = object;
  const { quorum = marks && NO_KEY_QUORUM } = object;
  writer.discard();
  writer.u8((marks ? forms.withMarks : quorum ? forms.withQuorum : forms.plain).version);
  writer.u64(object.handle);
  writer.u32(object.version);
  if (quorum !== undefined) {
    writer.u8(quorum.manage);
    writer.u8(quorum.use);
  }
  writeNames([object.owner, ...[...object.sharedWith].sort()]);
  writer.u32(attributes.size);
  for (const type of [...attributes.keys()].sort((one, other) => one - other)) {
    const value = attributes.get(type)!;
    writer.u32(type);
    writer.u32(value.length);
    writer.bytes(value);
  }
  writer.u32(object.material.length);
  writer.bytes(object.material);
  if (marks !== undefined) writeMarks(writer, marks);
  return writer.finish();
}

/** The same content as bytes for the HSM's own store, in a third of the room. It holds the key in the clear: seal it, and cleanse it. */
export function encodeStored(object: HsmObject): Buffer {
  const { manage, use } = object.quorum ?? NO_KEY_QUORUM;
  writer.discard();
  writer.u8((object.marks ? forms.storedWithMarks : forms.stored).version);
  writer.varint(object.handle);
  writer.varint(object.version);
  writer.u8(manage);
  writer.u8(use);
  writeNames([object.owner, ...object.sharedWith]);
  writeAttributes(writer, object.attributes);
  writer.varint(object.material.length);
  writer.bytes(object.material);
  if (object.marks !== undefined) writeMarks(writer, object.marks);
  return writer.finish();
}

function readNames(reader: Reader): Pick<HsmObject, 'owner' | 'sharedWith'> {
  const names: string[] = [];
  for (;;) {
    const lengthBytes = reader.u8();
    if (lengthBytes === 0) break;
    if (names.length > limits.usersPerHsm) throw new MalformedFrame('a share list without end');
    names.push(reader.text(lengthBytes, 'utf8'));
  }
  const [owner, ...sharedWith] = names;
  if (owner === undefined) throw new MalformedFrame('an object without an owner');
  return { owner, sharedWith };
}

/** The object in a record of any version. Throws MalformedFrame for anything that is not exactly one. */
export function decodeObject(record: Buffer): HsmObject {
  const reader = new Reader(record);
  const recordVersion = reader.u8();
  const form = formOf.get(recordVersion);
  if (form === undefined) throw new MalformedFrame(`object record of version ${recordVersion}`);
  const { handle, version, quorum } = form.head(reader);
  const { owner, sharedWith } = readNames(reader);
  const attributes = form.attributes(reader);
  const materialBytes = form.lengthBytes(reader, limits.attributeBytes, 'bytes of key material');
  const material = Buffer.from(reader.bytes(materialBytes));
  const marks: ChangeMarks | undefined = form.hasMarks && readMarks(reader, version);
  reader.end();
  const object = { handle, version, owner, sharedWith, attributes, material };
  if (quorum === undefined && marks === undefined) return object;
  return { ...object, ...(quorum && { quorum }), ...(marks && { marks }) };
}

/** Whether these are the bytes that `encodeObject` makes of the object in them; false also of some that are. The record must be whole. */
export function isAsEncoded(record: Buffer): boolean {
  const reader = new Reader(record);
  const form = formOf.get(reader.u8());
  if (form !== forms.plain && form !== forms.withQuorum) return false;
  form.head(reader);
  let names = 0;
  for (let lengthBytes = reader.u8(); lengthBytes > 0; lengthBytes = reader.u8()) {
    reader.skip(lengthBytes);
    names++;
  }
  // An owner and another user have one order.
  if (names > 2) return false;
  let last = -1;
  for (let left = reader.u32(); left > 0; left--) {
    const type = reader.u32();
    if (type <= last) return false;
    last = type;
    reader.skip(reader.u32());
  }
  return true;
}

/** An object whose attributes are read when they are asked for. */
export interface ObjectView extends VisibleObject {
  readonly attributes: StoredAttributes;
}

/** The object in a record or its visible part, which has to stay as it is, for somebody who looks at little of it. Undefined of records of
 * earlier builds. Throws MalformedFrame, or later, for what is none. */
export function viewOf(record: Buffer): ObjectView | undefined {
  if (!isStored(record)) return undefined;
  const reader = new Reader(record, 1);
  const { handle } = forms.stored.head(reader);
  const { owner, sharedWith } = readNames(reader);
  return { handle, owner, sharedWith, attributes: new StoredAttributes(record, reader.at) };
}

/** What of a viewed record is no secret: all but the key. */
export const visiblePart = (record: Buffer, { attributes }: ObjectView): Buffer =>
  record.subarray(0, attributes.end);

/** The record as `encodeObject` makes it, of a record of any version. */
export function travellingRecord(record: Buffer): Buffer {
  if (!isStored(record)) return record;
  const object = decodeObject(record);
  const travelling = encodeObject(object);
  object.material.fill(0);
  record.fill(0);
  return travelling;
}
