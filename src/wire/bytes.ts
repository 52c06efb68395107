import { StacklessError } from '../base/errors.js';
import { FIRST_SLOT_ID } from '../pkcs11/constants.js';

/** What arrived does not follow the table: too short, too long, or a length beyond its bound. Ends the connection. */
export class MalformedFrame extends StacklessError {
  constructor(what: string) {
    super(`malformed frame: ${what}`);
    this.name = 'MalformedFrame';
  }
}

/** What is to be written is longer than a frame may be. */
export class FrameTooLarge extends StacklessError {
  constructor(lengthBytes: number) {
    super(`an answer of ${lengthBytes} bytes or more does not fit a frame`);
    this.name = 'FrameTooLarge';
  }
}

const TWO_32 = 2 ** 32;
/** The high half of every slot id; the low half counts from 1. */
const SLOT_HIGH = Number(FIRST_SLOT_ID >> 32n);

/** A number below 2^53 has at most eight groups of seven bits. */
const GREATEST_VARINT_UNIT = 128 ** 7;

function bounded(value: number, bound: number, what: string): number {
  if (value > bound) throw new MalformedFrame(`${value} ${what}, at most ${bound}`);
  return value;
}

/** Reads a frame from front to back. Every read is checked against the end of the frame first. */
export class Reader {
  #at: number;

  /** @param at where it begins */
  constructor(
    private readonly frame: Buffer,
    at = 0,
  ) {
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

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
    return bounded(this.u32(), bound, what);
  }

  /** The same of what `Writer.varint` wrote. */
  varint(bound: number, what: string): number {
    let value = 0;
    for (let unit = 1; unit <= GREATEST_VARINT_UNIT; unit *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) return bounded(value, bound, what);
    }
    throw new MalformedFrame('a number without end');
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

  skip(lengthBytes: number): void {
    this.#take(lengthBytes);
  }

  /** As text, without a view. */
  text(lengthBytes: number, encoding: 'utf8' | 'latin1'): string {
    const at = this.#take(lengthBytes);
    return this.frame.toString(encoding, at, at + lengthBytes);
  }

  end(): void {
    if (this.#at !== this.frame.length) throw new MalformedFrame(`${this.remaining} bytes behind its end`);
  }
}

/**
 * Writes frames, one after the other. Each is written where it stays: `finish` gives it away without a copy, and the
 * next one follows it in the same memory as long as there is room.
 */
export class Writer {
  #memory = Buffer.allocUnsafeSlow(0);
  #start = 0;
  #at = 0;

  /** @param memoryBytes what it asks for at a time; the default is for one that writes many frames */
  constructor(
    private readonly memoryBytes = 64 * 1024,
    private readonly limitBytes = Number.MAX_SAFE_INTEGER,
  ) {}

  #reserve(lengthBytes: number): number {
    const at = this.#at;
    const end = at + lengthBytes;
    if (end - this.#start > this.limitBytes) throw new FrameTooLarge(end - this.#start);
    if (end > this.#memory.length) return this.#reserveElsewhere(lengthBytes);
    this.#at = end;
    return at;
  }

  #reserveElsewhere(lengthBytes: number): number {
    const written = this.#memory.subarray(this.#start, this.#at);
    const at = written.length;
    this.#memory = Buffer.allocUnsafeSlow(Math.max(this.memoryBytes, 2 * (at + lengthBytes)));
    this.#memory.set(written);
    written.fill(0);
    this.#start = 0;
    this.#at = at + lengthBytes;
    return at;
  }

  u8(value: number): void {
    const at = this.#reserve(1);
    this.#memory[at] = value;
  }

  u16(value: number): void {
    const at = this.#reserve(2);
    this.#memory.writeUInt16LE(value, at);
  }

  u32(value: number): void {
    const at = this.#reserve(4);
    this.#memory.writeUInt32LE(value, at);
  }

  /** A number below 2^53, or -1 for CK_UNAVAILABLE_INFORMATION (all ones). */
  u64(value: number): void {
    const at = this.#reserve(8);
    if (value === -1) {
      this.#memory.fill(0xff, at, at + 8);
      return;
    }
    // Not `%`, which takes twice as long for such numbers.
    const high = Math.floor(value / TWO_32);
    this.#memory.writeUInt32LE(value - high * TWO_32, at);
    this.#memory.writeUInt32LE(high, at + 4);
  }

  /** A number below 2^53 in groups of seven bits, the lowest first, each in a byte whose highest bit says that another one follows. */
  varint(value: number): void {
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 128)) this.u8((rest % 128) | 0x80);
    this.u8(rest);
  }

  slot(index: number): void {
    const at = this.#reserve(8);
    this.#memory.writeUInt32LE(index + 1, at);
    this.#memory.writeUInt32LE(SLOT_HIGH, at + 4);
  }

  bytes(value: Uint8Array): void {
    const at = this.#reserve(value.length);
    this.#memory.set(value, at);
  }

  /** UTF-8 text behind its u32 length in bytes. */
  text(value: string): void {
    const lengthBytes = Buffer.byteLength(value);
    const at = this.#reserve(4 + lengthBytes);
    this.#memory.writeUInt32LE(lengthBytes, at);
    this.#memory.write(value, at + 4, lengthBytes, 'utf8');
  }

  /** UTF-8 text in exactly `size` bytes, padded with blanks. */
  paddedText(value: string, size: number): void {
    const at = this.#reserve(size);
    this.#memory.fill(0x20, at, at + size);
    this.#memory.write(value, at, size, 'utf8');
  }

  /** What was written, which is the caller's from now on. */
  finish(): Buffer {
    const frame = this.#memory.subarray(this.#start, this.#at);
    this.#start = this.#at;
    return frame;
  }

  /** Forgets and cleanses what was written since the last `finish`. */
  discard(): void {
    this.#memory.fill(0, this.#start, this.#at);
    this.#at = this.#start;
  }
}
