import type { Eventually } from '../base/eventually.js';

/** Requests of up to so many bytes are answered from what is there. */
const SMALL_BYTES = 1024;
/** What is asked of the HSM at a time: enough for some requests. */
const blockBytes = (lengthBytes: number): number => Math.max(4096, 16 * lengthBytes);
/** A program that asks again within this asks again and again. */
const AGAIN_MS = 50;
/** Bytes that nobody has asked for by then are not handed out. */
const KEPT_MS = 500;

const NOTHING = Buffer.alloc(0);

/**
 * Random bytes of an HSM elsewhere, some more than a program asked for when it asks for few again and again: so that it need not wait
 * for the HSM each time. Each byte is handed out once and cleansed here then; what is left over soon is.
 */
export class RandomReserve {
  #bytes: Buffer = NOTHING;
  #at = 0;
  #askedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  /** Grows with each `discard`: what was under way then is from before. */
  #epoch = 0;

  constructor(private readonly nowMs: () => number = () => performance.now()) {}

  /** @param ask the HSM for so many bytes */
  take(lengthBytes: number, ask: (lengthBytes: number) => Promise<Buffer>): Eventually<Buffer> {
    const now = this.nowMs();
    const again = now - this.#askedMs < AGAIN_MS;
    this.#askedMs = now;
    if (lengthBytes > SMALL_BYTES) return ask(lengthBytes);
    if (lengthBytes <= this.#bytes.length - this.#at) return this.#handOut(lengthBytes);
    if (!again) return ask(lengthBytes);
    const epoch = this.#epoch;
    return ask(blockBytes(lengthBytes)).then((block) => {
      if (epoch === this.#epoch) this.#keep(block, lengthBytes);
      const bytes = Buffer.from(block.subarray(0, lengthBytes));
      block.fill(0);
      return bytes;
    });
  }

  #handOut(lengthBytes: number): Buffer {
    const end = this.#at + lengthBytes;
    const bytes = Buffer.from(this.#bytes.subarray(this.#at, end));
    this.#bytes.fill(0, this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** Keeps what is behind the first bytes of a block. */
  #keep(block: Buffer, from: number): void {
    this.#cleanse();
    this.#bytes = Buffer.from(block.subarray(from));
    this.#timer = setTimeout(() => this.#cleanse(), KEPT_MS).unref();
  }

  #cleanse(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#bytes.fill(0);
    this.#bytes = NOTHING;
    this.#at = 0;
  }

  /** Hands out no byte of before. */
  discard(): void {
    this.#epoch++;
    this.#cleanse();
  }
}
