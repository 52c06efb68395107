import { limits } from '../base/limits.js';
import { boolBytes } from '../pkcs11/template.js';
import { MalformedFrame, Reader, Writer } from '../wire/bytes.js';
import type { HsmObject } from './hsm-object.js';
import { isKeyQuorum } from './key-quorum.js';

/** Versions of the record format. docs/STORAGE.md describes it byte by byte. */
const recordVersions = {
  /** These have no version of the object: it is 1. */
  withoutObjectVersion: 1,
  plain: 2,
  /** Only of a key with a quorum: what other objects are, and their digests, stays as it was before there were any. */
  withQuorum: 3,
} as const;
const knownVersions: readonly number[] = Object.values(recordVersions);

/** Most attributes of most objects are one of a few CK_BBOOLs and CK_ULONGs: they share a buffer per value, which halves the
 * memory of a decoded object and the time that decoding takes. Nobody writes to an attribute. */
const sharedUlongs = new Map<number, Buffer>();
const SHARED_ULONGS = 256;

function ulongValue(low: number, high: number): Buffer {
  const shared = high === 0 ? sharedUlongs.get(low) : undefined;
  if (shared !== undefined) return shared;
  const value = Buffer.alloc(8);
  value.writeUInt32LE(low, 0);
  value.writeUInt32LE(high, 4);
  if (high === 0 && sharedUlongs.size < SHARED_ULONGS) sharedUlongs.set(low, value);
  return value;
}

function attributeValue(reader: Reader): Buffer {
  const lengthBytes = reader.count(limits.attributeBytes, 'bytes of an attribute');
  if (lengthBytes === 8) return ulongValue(reader.u32(), reader.u32());
  if (lengthBytes !== 1) return Buffer.from(reader.bytes(lengthBytes));
  const byte = reader.u8();
  return byte <= 1 ? boolBytes(byte === 1) : Buffer.from([byte]);
}

/** An object as bytes, for the store and for masked objects. It holds the key in the clear: seal it. */
export function encodeObject(object: HsmObject): Buffer {
  const { quorum } = object;
  const writer = new Writer(512);
  writer.u8(quorum === undefined ? recordVersions.plain : recordVersions.withQuorum);
  writer.u64(object.handle);
  writer.u32(object.version);
  if (quorum !== undefined) {
    writer.u8(quorum.manage);
    writer.u8(quorum.use);
  }
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
  if (!knownVersions.includes(version)) throw new MalformedFrame(`object record of version ${version}`);
  const handle = reader.u64();
  const objectVersion = version === recordVersions.withoutObjectVersion ? 1 : reader.u32();
  const quorum =
    version === recordVersions.withQuorum ? { manage: reader.u8(), use: reader.u8() } : undefined;
  if (quorum !== undefined && !isKeyQuorum(quorum)) throw new MalformedFrame('a quorum that no key has');
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
    attributes.set(type, attributeValue(reader));
  }
  const material = Buffer.from(reader.bytes(reader.count(limits.attributeBytes, 'bytes of key material')));
  reader.end();
  const object = { handle, version: objectVersion, owner, sharedWith, attributes, material };
  return quorum === undefined ? object : { ...object, quorum };
}
