import { FIRST_SLOT_ID } from '../pkcs11/constants.js';

/** What arrived does not follow the table: too short, too long, or a length beyond its bound. Ends the connection. */
export class MalformedFrame extends Error {
  constructor(what: string) {
    super(`malformed frame: ${what}`);
    this.name = 'MalformedFrame';
  }
}

/** What is to be written is longer than a frame may be. */
export class FrameTooLarge extends Error {
  constructor(lengthBytes: number) {
    super(`an answer of ${lengthBytes} bytes or more does not fit a frame`);
    this.name = 'FrameTooLarge';
  }
}

const TWO_32 = 2 ** 32;
/** A writer that has grown beyond this does not keep its buffer. */
const KEPT_BYTES = 1024 * 1024;
/** The high half of every slot id; the low half counts from 1. */
const SLOT_HIGH = Number(FIRST_SLOT_ID >> 32n);

/** Reads a frame from front to back. Every read is checked against the end of the frame first. */
export class Reader {
  #at = 0;

  constructor(private readonly frame: Buffer) {}

  get remaining(): number {
    return this.frame.length - this.#at;
  }

  #take(lengthBytes: number): number {
    const at = this.#at;
    if (lengthBytes > this.frame.length - at) throw new MalformedFrame('it ends too early');
    this.#at = at + lengthBytes;
    return at;
  }

  u8(): number {
    return this.frame[this.#take(1)]!;
  }

  u16(): number {
    return this.frame.readUInt16LE(this.#take(2));
  }

  u32(): number {
    return this.frame.readUInt32LE(this.#take(4));
  }

  /** A count that must not exceed `bound`. */
  count(bound: number, what: string): number {
    const value = this.u32();
    if (value > bound) throw new MalformedFrame(`${value} ${what}, at most ${bound}`);
    return value;
  }

  /** Exact below 2^53. Above, only the magnitude is right: no handle, length or flag of ours is that large, so such
   * a number is refused by whoever looks it up. */
  u64(): number {
    const at = this.#take(8);
    return this.frame.readUInt32LE(at) + this.frame.readUInt32LE(at + 4) * TWO_32;
  }

  /** -1 for a NULL buffer, else its capacity. */
  room(): number {
    const at = this.#take(8);
    const high = this.frame.readUInt32LE(at + 4);
    return high === 0xffffffff ? -1 : this.frame.readUInt32LE(at) + high * TWO_32;
  }

  /** The index of the slot, or -1 for an id that is none of CloudHSM's. */
  slot(): number {
    const at = this.#take(8);
    const low = this.frame.readUInt32LE(at);
    return this.frame.readUInt32LE(at + 4) === SLOT_HIGH && low > 0 ? low - 1 : -1;
  }

  /** A view into the frame: the bridge hands over a frame of its own, so nobody writes to it later. */
  bytes(lengthBytes: number): Buffer {
    const at = this.#take(lengthBytes);
    return this.frame.subarray(at, at + lengthBytes);
  }

  end(): void {
    if (this.#at !== this.frame.length) throw new MalformedFrame(`${this.remaining} bytes behind its end`);
  }
}

/** Writes a frame into a buffer that grows. One writer serves one answer at a time; `finish` gives its own copy. */
export class Writer {
  #buffer: Buffer;
  #at = 0;

  constructor(
    private readonly initialBytes = 1024,
    private readonly limitBytes = Number.MAX_SAFE_INTEGER,
  ) {
    this.#buffer = Buffer.alloc(initialBytes);
  }

  #reserve(lengthBytes: number): number {
    const at = this.#at;
    const end = at + lengthBytes;
    if (end > this.limitBytes) throw new FrameTooLarge(end);
    if (end > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(end, this.#buffer.length * 2));
      this.#buffer.copy(larger, 0, 0, at);
      this.#buffer.fill(0);
      this.#buffer = larger;
    }
    this.#at = end;
    return at;
  }

  u8(value: number): void {
    this.#buffer[this.#reserve(1)] = value;
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
  }

  /** A number below 2^53, or -1 for CK_UNAVAILABLE_INFORMATION (all ones). */
  u64(value: number): void {
    const at = this.#reserve(8);
    if (value === -1) {
      this.#buffer.fill(0xff, at, at + 8);
      return;
    }
    this.#buffer.writeUInt32LE(value % TWO_32, at);
    this.#buffer.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
  }

  slot(index: number): void {
    const at = this.#reserve(8);
    this.#buffer.writeUInt32LE(index + 1, at);
    this.#buffer.writeUInt32LE(SLOT_HIGH, at + 4);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
  }

  /** UTF-8 text in exactly `size` bytes, padded with blanks. */
  paddedText(value: string, size: number): void {
    const at = this.#reserve(size);
    this.#buffer.fill(0x20, at, at + size);
    this.#buffer.write(value, at, size, 'utf8');
  }

  /** A copy of what was written; the writer is empty again and what it held is cleansed. */
  finish(): Buffer {
    const frame = Buffer.from(this.#buffer.subarray(0, this.#at));
    this.discard();
    return frame;
  }

  /** Forgets and cleanses what was written, and lets go of memory that one large frame needed. */
  discard(): void {
    this.#buffer.fill(0, 0, this.#at);
    this.#at = 0;
    if (this.#buffer.length > KEPT_BYTES) this.#buffer = Buffer.alloc(this.initialBytes);
  }
}
