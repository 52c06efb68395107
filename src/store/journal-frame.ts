import { digest } from '../crypto/index.js';
import { type Change, tables } from './record-store.js';

/*
 * A frame of the journal (docs/STORAGE.md, "The journal"): what one flush makes durable.
 *
 *   16 bytes  of the SHA-256 of all that follows
 *   4 bytes   0xff "JN" 1
 *   u32       length of the changes
 *   u64       sequence number
 *   u64       sequence number of the frame before it
 *   changes:  u16 length of the key, u32 length of the value or 0xffffffff for a removal, key, value
 */

/** A change of LMDB's own keys, the table's byte included. */
export interface StoredChange {
  readonly key: Buffer;
  /** undefined removes the record. */
  readonly value: Buffer | undefined;
}

/** A change that is in a frame: it stays there, and is looked at when somebody asks. */
export class FrameChange implements StoredChange {
  /** @param name the key, as a string whose order is the byte order */
  constructor(
    readonly sequence: number,
    readonly name: string,
    private readonly body: Buffer,
    private readonly keyAt: number,
    private readonly valueAt: number,
    /** -1 of a removal. */
    private readonly end: number,
  ) {}

  get key(): Buffer {
    return this.body.subarray(this.keyAt, this.valueAt);
  }

  get value(): Buffer | undefined {
    return this.end < 0 ? undefined : this.body.subarray(this.valueAt, this.end);
  }

  get isRemoval(): boolean {
    return this.end < 0;
  }
}

export class Frame {
  constructor(
    readonly sequence: number,
    /** The frame that was durable when this one was written. */
    readonly after: number,
    /** In whole blocks. */
    readonly lengthBytes: number,
    private readonly body: Buffer,
  ) {}

  /** Read anew each time. Throws RangeError. */
  changes(): FrameChange[] {
    return changesIn(this.body, this.sequence);
  }
}

/** Frames begin at multiples of it: none shares what a disk writes as one thing with a frame that is durable already. */
export const BLOCK_BYTES = 4096;

/** No text has the first byte in it, and what is sealed has it by accident only. */
const MAGIC = Buffer.from([0xff, 0x4a, 0x4e, 1]);
const CHECKSUM_BYTES = 16;
const LENGTH_AT = CHECKSUM_BYTES + MAGIC.length;
const SEQUENCE_AT = LENGTH_AT + 4;
const AFTER_AT = SEQUENCE_AT + 8;
const HEADER_BYTES = AFTER_AT + 8;
const CHANGE_BYTES = 2 + 4;
const REMOVAL = 0xffff_ffff;
/** What LMDB takes: a change that it would refuse later must not be accepted now. */
export const LONGEST_KEY_BYTES = 1978;

const roundedUp = (bytes: number): number => Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;

const checksum = (frame: Buffer): Buffer =>
  digest('sha256', frame.subarray(CHECKSUM_BYTES)).subarray(0, CHECKSUM_BYTES);

/**
 * The frame's bytes, in whole blocks: in `space`, if they fit, which is for nothing else then until they are written. Its changes are
 * copies.
 */
export function encodeFrame(
  space: Buffer,
  sequence: number,
  after: number,
  changes: readonly Change[],
): { bytes: Buffer; frame: Frame } {
  const body = bodyOf(changes);
  const length = HEADER_BYTES + body.length;
  const lengthBytes = roundedUp(length);
  const bytes = lengthBytes <= space.length ? space.subarray(0, lengthBytes) : Buffer.alloc(lengthBytes);
  bytes.set(MAGIC, CHECKSUM_BYTES);
  bytes.writeUInt32LE(body.length, LENGTH_AT);
  writeNumber(bytes, sequence, SEQUENCE_AT);
  writeNumber(bytes, after, AFTER_AT);
  bytes.set(body, HEADER_BYTES);
  bytes.fill(0, length);
  bytes.set(checksum(bytes.subarray(0, length)));
  return { bytes, frame: new Frame(sequence, after, lengthBytes, body) };
}

/** As u64; a BigInt for it would be an object. */
function writeNumber(bytes: Buffer, value: number, at: number): void {
  bytes.writeUInt32LE(value % 2 ** 32, at);
  bytes.writeUInt32LE(Math.floor(value / 2 ** 32), at + 4);
}

function bodyOf(changes: readonly Change[]): Buffer {
  let length = 0;
  for (const { key, value } of changes) length += CHANGE_BYTES + 1 + key.length + (value?.length ?? 0);
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  for (const { table, key, value } of changes) {
    body.writeUInt16LE(1 + key.length, at);
    body.writeUInt32LE(value?.length ?? REMOVAL, at + 2);
    at += CHANGE_BYTES;
    body[at] = tables[table].prefix;
    body.set(key, at + 1);
    at += 1 + key.length;
    if (value === undefined) continue;
    body.set(value, at);
    at += value.length;
  }
  return body;
}

function changesIn(body: Buffer, sequence: number): FrameChange[] {
  const changes: FrameChange[] = [];
  // One string for all names, which are parts of it.
  const text = body.toString('latin1');
  for (let at = 0; at < body.length; ) {
    const keyAt = at + CHANGE_BYTES;
    const valueAt = keyAt + body.readUInt16LE(at);
    const valueLength = body.readUInt32LE(at + 2);
    at = valueLength === REMOVAL ? valueAt : valueAt + valueLength;
    if (at > body.length) throw new RangeError('a change is longer than its frame');
    const name = text.slice(keyAt, valueAt);
    changes.push(new FrameChange(sequence, name, body, keyAt, valueAt, valueLength === REMOVAL ? -1 : at));
  }
  return changes;
}

/** The frame that begins at a place, if a whole one does that is later than `applied`. Throws RangeError. */
export function decodeFrame(bytes: Buffer, at: number, applied: number): Frame | undefined {
  const header = bytes.subarray(at, at + HEADER_BYTES);
  if (header.length < HEADER_BYTES || MAGIC.compare(header, CHECKSUM_BYTES, LENGTH_AT) !== 0)
    return undefined;
  const sequence = Number(header.readBigUInt64LE(SEQUENCE_AT));
  const length = HEADER_BYTES + header.readUInt32LE(LENGTH_AT);
  if (sequence <= applied || length > bytes.length - at) return undefined;
  const whole = bytes.subarray(at, at + length);
  if (checksum(whole).compare(whole, 0, CHECKSUM_BYTES) !== 0) return undefined;
  const after = Number(header.readBigUInt64LE(AFTER_AT));
  const frame = new Frame(sequence, after, roundedUp(length), whole.subarray(HEADER_BYTES));
  // Whoever opens a store is told that it cannot be read, not who reads it later.
  frame.changes();
  return frame;
}
