import { limits } from '../base/limits.js';
import { MalformedFrame, Reader, Writer } from '../wire/bytes.js';
import type { HsmObject } from './hsm-object.js';

/** Version of the record format below. docs/STORAGE.md describes it byte by byte. */
const RECORD_VERSION = 2;
/** Records of version 1 have no version of the object: it is 1. */
const WITHOUT_OBJECT_VERSION = 1;

/** An object as bytes, for the store and for masked objects. It holds the key in the clear: seal it. */
export function encodeObject(object: HsmObject): Buffer {
  const writer = new Writer(512);
  writer.u8(RECORD_VERSION);
  writer.u64(object.handle);
  writer.u32(object.version);
  for (const name of [object.owner, ...object.sharedWith, '']) {
    const bytes = Buffer.from(name);
    writer.u8(bytes.length);
    writer.bytes(bytes);
  }
  writer.u32(object.attributes.size);
  for (const [type, value] of object.attributes) {
    writer.u32(type);
    writer.u32(value.length);
    writer.bytes(value);
  }
  writer.u32(object.material.length);
  writer.bytes(object.material);
  return writer.finish();
}

/** The same bytes for the same object, in whatever order its attributes and its users came. */
export function canonicalRecord(object: HsmObject): Buffer {
  const attributes = new Map([...object.attributes].sort(([a], [b]) => a - b));
  return encodeObject({ ...object, attributes, sharedWith: [...object.sharedWith].sort() });
}

/** The object in a record. Throws MalformedFrame for anything that is not exactly one. */
export function decodeObject(record: Buffer): HsmObject {
  const reader = new Reader(record);
  const version = reader.u8();
  if (version !== RECORD_VERSION && version !== WITHOUT_OBJECT_VERSION)
    throw new MalformedFrame(`object record of version ${version}`);
  const handle = reader.u64();
  const objectVersion = version === WITHOUT_OBJECT_VERSION ? 1 : reader.u32();
  const names: string[] = [];
  for (;;) {
    const lengthBytes = reader.u8();
    if (lengthBytes === 0) break;
    if (names.length > limits.usersPerHsm) throw new MalformedFrame('a share list without end');
    names.push(reader.bytes(lengthBytes).toString('utf8'));
  }
  const [owner, ...sharedWith] = names;
  if (owner === undefined) throw new MalformedFrame('an object without an owner');
  const attributes = new Map<number, Buffer>();
  for (let left = reader.count(limits.templateAttributes, 'attributes'); left > 0; left--) {
    const type = reader.u32();
    attributes.set(
      type,
      Buffer.from(reader.bytes(reader.count(limits.attributeBytes, 'bytes of an attribute'))),
    );
  }
  const material = Buffer.from(reader.bytes(reader.count(limits.attributeBytes, 'bytes of key material')));
  reader.end();
  return { handle, version: objectVersion, owner, sharedWith, attributes, material };
}
