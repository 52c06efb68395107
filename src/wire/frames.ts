import { limits } from '../base/limits.js';
import { MalformedFrame, type Writer } from './bytes.js';

/*
 * How frames lie on a stream: u32 little-endian length, then as many bytes.
 */

export const HEADER_BYTES = 4;

const NOTHING = Buffer.alloc(0);

export function frameHeader(lengthBytes: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(lengthBytes);
  return header;
}

/** A frame behind its header. */
export const framed = (frame: Buffer): Buffer => Buffer.concat([frameHeader(frame.length), frame]);

/** Leaves room for the header of the frame that is written behind it, so that both go out in one piece and without a copy. */
export function beginFrame(writer: Writer): void {
  writer.u32(0);
}

/** What was begun with `beginFrame`, behind its header. */
export function endFrame(writer: Writer): Buffer {
  const frame = writer.finish();
  frame.writeUInt32LE(frame.length - HEADER_BYTES);
  return frame;
}

/** Cuts what arrives on a stream into frames. Memory grows with what has arrived, never with what a header claims. */
export class FrameSplitter {
  #chunks: Buffer[] = [];
  /** So much of the first of them was given away. */
  #at = 0;
  #bytes = 0;

  /** @param limitBytes the longest frame the peer may send; it may be changed between frames */
  constructor(public limitBytes: number = limits.frameBytes) {}

  /** Whether a frame has begun that is not whole yet. */
  get holdsPart(): boolean {
    return this.#bytes > 0;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > this.limitBytes + HEADER_BYTES + 65_536)
      throw new MalformedFrame('more in flight than a peer may have');
  }

  /** All that has arrived and was not given away, in one piece. */
  #join(): Buffer {
    const [first = NOTHING] = this.#chunks;
    const whole = this.#chunks.length > 1 ? Buffer.concat(this.#chunks).subarray(this.#at) : first;
    if (whole === first) return whole;
    this.#at = 0;
    this.#chunks = [whole];
    return whole;
  }

  /** The next whole frame, in memory that nobody writes to any more, or undefined. Throws MalformedFrame for a length beyond bounds. */
  next(): Buffer | undefined {
    if (this.#bytes < HEADER_BYTES) return undefined;
    const first = this.#chunks[0]!;
    const head = first.length >= this.#at + HEADER_BYTES ? first : this.#join();
    const lengthBytes = head.readUInt32LE(this.#at);
    if (lengthBytes > this.limitBytes) throw new MalformedFrame(`a frame of ${lengthBytes} bytes`);
    if (this.#bytes < HEADER_BYTES + lengthBytes) return undefined;
    const all = this.#join();
    const begin = this.#at + HEADER_BYTES;
    const end = begin + lengthBytes;
    this.#bytes -= HEADER_BYTES + lengthBytes;
    this.#at = end;
    if (this.#bytes === 0) {
      this.#chunks.length = 0;
      this.#at = 0;
    }
    return all.subarray(begin, end);
  }
}
