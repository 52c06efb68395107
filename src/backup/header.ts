import { type ClusterKind, clusterModes, hsmTypes } from '../base/cluster-kind.js';
import { limits } from '../base/limits.js';
import { unsuitable } from './refused.js';

/*
 * The clear text in front of a backup (docs/BACKUP.md). Big-endian:
 *
 *   0  magic "CHSMBKP1"      16  nonce, 16 random bytes     40             fields: u16 type, u16 length, value; types ascend
 *   8  u16 version = 1       32  u32 chunkSizeBytes         headerLen − 40 KW(PBK, EBK), 40 bytes
 *  10  u16 suite = 1         36  u32 chunkCount
 *  12  u32 headerLen
 */

const MAGIC = Buffer.from('CHSMBKP1');
const VERSION = 1;
/** KBKDF-CTR with HMAC-SHA-256 and r = 32, KW for the EBK, KWP for the chunks. There is no other: nothing can be downgraded. */
const SUITE = 1;
export const FIXED_BYTES = 40;
export const NONCE_BYTES = 16;
export const WRAPPED_EBK_BYTES = 40;
const FIELD_HEAD_BYTES = 4;

/** Chunks that are too small cost more than they hold; the largest bounds a reader's memory. */
const CHUNK_MIN_BYTES = 64;
const CHUNK_MAX_BYTES = 1024 * 1024;
export const CHUNK_BYTES = 64 * 1024;

/** Whose keys a backup needs. */
export interface BackupKeyId {
  readonly manufacturerId: string;
  readonly mkbkVersion: number;
  readonly akbkVersion: number;
}

/** What a backup says of itself. It is not secret, and everything in it is authenticated by each chunk. */
export interface HeaderFields extends BackupKeyId, ClusterKind {
  /** The cluster it was made in. */
  readonly clusterId: string;
  readonly createdAtMs: number;
  /** The form of what is inside. */
  readonly stateSchemaVersion: number;
  readonly firmware?: string;
  /** Equal for all HSMs that have one masking key, which it does not tell. */
  readonly maskingKeyId?: Buffer;
}

type Value = string | number | Buffer;

interface Form {
  readonly lengthBytes?: number;
  encode(value: Value): Buffer;
  decode(bytes: Buffer): Value | undefined;
}

const TEXT_MAX_BYTES = 64;

/** Printable ASCII. */
const text: Form = {
  encode: (value) => Buffer.from(value as string, 'latin1'),
  decode: (bytes) => {
    const value = bytes.toString('latin1');
    return bytes.length <= TEXT_MAX_BYTES && /^[\x21-\x7e]+$/.test(value) ? value : undefined;
  },
};

const oneOf = (values: readonly string[]): Form => ({
  encode: text.encode,
  decode: (bytes) => values.find((value) => value === bytes.toString('latin1')),
});

const u32: Form = {
  lengthBytes: 4,
  encode: (value) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value as number);
    return bytes;
  },
  decode: (bytes) => bytes.readUInt32BE(),
};

const u64: Form = {
  lengthBytes: 8,
  encode: (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value as number));
    return bytes;
  },
  decode: (bytes) => {
    const value = Number(bytes.readBigUInt64BE());
    return Number.isSafeInteger(value) ? value : undefined;
  },
};

const id: Form = {
  lengthBytes: 8,
  encode: (value) => value as Buffer,
  decode: (bytes) => Buffer.from(bytes),
};

interface FieldRow {
  readonly type: number;
  readonly name: keyof HeaderFields;
  readonly form: Form;
  readonly optional?: true;
}

/** THE row per field, by ascending type. The first three are the context of the key derivation. */
export const fieldRows: readonly FieldRow[] = [
  { type: 1, name: 'manufacturerId', form: text },
  { type: 2, name: 'mkbkVersion', form: u32 },
  { type: 3, name: 'akbkVersion', form: u32 },
  { type: 4, name: 'hsmType', form: oneOf(hsmTypes) },
  { type: 5, name: 'mode', form: oneOf(clusterModes) },
  { type: 6, name: 'clusterId', form: text },
  { type: 7, name: 'createdAtMs', form: u64 },
  { type: 8, name: 'stateSchemaVersion', form: u32 },
  { type: 9, name: 'firmware', form: text, optional: true },
  { type: 10, name: 'maskingKeyId', form: id, optional: true },
];

const contextRows = fieldRows.slice(0, 3);

function encodeFields(rows: readonly FieldRow[], fields: Partial<HeaderFields>): Buffer {
  return Buffer.concat(
    rows.flatMap(({ type, name, form }) => {
      const value = fields[name];
      if (value === undefined) return [];
      const bytes = form.encode(value);
      const head = Buffer.alloc(FIELD_HEAD_BYTES);
      head.writeUInt16BE(type, 0);
      head.writeUInt16BE(bytes.length, 2);
      return [head, bytes];
    }),
  );
}

/** What of the header enters the key derivation. */
export function derivationContext(keyId: BackupKeyId): Buffer {
  return encodeFields(contextRows, keyId);
}

function decodeFields(bytes: Buffer): HeaderFields {
  const fields: Partial<Record<keyof HeaderFields, Value>> = {};
  let before = 0;
  for (let at = 0; at < bytes.length; ) {
    if (bytes.length - at < FIELD_HEAD_BYTES) throw unsuitable('a field of its header is cut off');
    const type = bytes.readUInt16BE(at);
    const lengthBytes = bytes.readUInt16BE(at + 2);
    const value = bytes.subarray(at + FIELD_HEAD_BYTES, at + FIELD_HEAD_BYTES + lengthBytes);
    const row = fieldRows.find((candidate) => candidate.type === type);
    if (row === undefined)
      throw unsuitable(`its header has a field ${type}, which this version does not know`);
    if (type <= before) throw unsuitable(`field ${type} of its header is there twice or out of place`);
    const fits = value.length === lengthBytes && (row.form.lengthBytes ?? lengthBytes) === lengthBytes;
    const decoded = fits ? row.form.decode(value) : undefined;
    if (decoded === undefined) throw unsuitable(`${row.name} in its header is malformed`);
    fields[row.name] = decoded;
    before = type;
    at += FIELD_HEAD_BYTES + lengthBytes;
  }
  const missing = fieldRows.find((row) => row.optional !== true && fields[row.name] === undefined);
  if (missing !== undefined) throw unsuitable(`its header has no ${missing.name}`);
  return fields as unknown as HeaderFields;
}

export interface Header extends HeaderFields {
  readonly nonce: Buffer;
  readonly chunkSizeBytes: number;
  /** The trailer included. */
  readonly chunkCount: number;
  readonly wrappedEbk: Buffer;
}

export function encodeHeader(header: Header): Buffer {
  const fields = encodeFields(fieldRows, header);
  const fixed = Buffer.alloc(FIXED_BYTES);
  MAGIC.copy(fixed);
  fixed.writeUInt16BE(VERSION, 8);
  fixed.writeUInt16BE(SUITE, 10);
  fixed.writeUInt32BE(FIXED_BYTES + fields.length + WRAPPED_EBK_BYTES, 12);
  header.nonce.copy(fixed, 16);
  fixed.writeUInt32BE(header.chunkSizeBytes, 32);
  fixed.writeUInt32BE(header.chunkCount, 36);
  return Buffer.concat([fixed, fields, header.wrappedEbk]);
}

/** The length of the whole header, from its fixed part. Throws BACKUP_REFUSED. */
export function headerLength(fixed: Buffer): number {
  if (!fixed.subarray(0, MAGIC.length).equals(MAGIC)) throw unsuitable('it is no backup of an HSM');
  const [version, suite] = [fixed.readUInt16BE(8), fixed.readUInt16BE(10)];
  if (version !== VERSION || suite !== SUITE)
    throw unsuitable(`it has version ${version} and suite ${suite}, where this version reads 1 and 1`);
  const lengthBytes = fixed.readUInt32BE(12);
  if (lengthBytes < FIXED_BYTES + WRAPPED_EBK_BYTES || lengthBytes > limits.backupHeaderBytes)
    throw unsuitable(`its header has ${lengthBytes} bytes`);
  return lengthBytes;
}

/** The header in exactly these bytes. Throws BACKUP_REFUSED. */
export function decodeHeader(bytes: Buffer): Header {
  if (headerLength(bytes) !== bytes.length) throw unsuitable('its header is cut off');
  const chunkSizeBytes = bytes.readUInt32BE(32);
  const chunkCount = bytes.readUInt32BE(36);
  if (chunkSizeBytes < CHUNK_MIN_BYTES || chunkSizeBytes > CHUNK_MAX_BYTES)
    throw unsuitable(`it has chunks of ${chunkSizeBytes} bytes`);
  // One chunk of content, and the trailer.
  if (chunkCount < 2) throw unsuitable('there is nothing in it');
  if ((chunkCount - 1) * chunkSizeBytes > limits.backupStateBytes + chunkSizeBytes)
    throw unsuitable(`it has ${chunkCount} chunks, more than an HSM holds`);
  const end = bytes.length - WRAPPED_EBK_BYTES;
  return {
    ...decodeFields(bytes.subarray(FIXED_BYTES, end)),
    nonce: Buffer.from(bytes.subarray(16, 16 + NONCE_BYTES)),
    chunkSizeBytes,
    chunkCount,
    wrappedEbk: Buffer.from(bytes.subarray(end)),
  };
}
