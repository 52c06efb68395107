import { unsuitable } from './refused.js';

/** Bytes that come in pieces of any size, read in lengths that the reader has bounded. */
export class ByteSource {
  readonly #pieces: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #waiting: Uint8Array = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>) {
    this.#pieces =
      Symbol.asyncIterator in pieces ? pieces[Symbol.asyncIterator]() : pieces[Symbol.iterator]();
  }

  /** Whether there is more. */
  async more(): Promise<boolean> {
    while (this.#waiting.length === 0) {
      const { done, value } = await this.#pieces.next();
      if (done === true) return false;
      this.#waiting = value;
    }
    return true;
  }

  /** Exactly so many bytes, in a buffer of the caller's own. Throws BACKUP_REFUSED when there are fewer. */
  async read(lengthBytes: number): Promise<Buffer> {
    const bytes = Buffer.alloc(lengthBytes);
    for (let at = 0; at < lengthBytes; ) {
      if (!(await this.more())) throw unsuitable('it is cut off');
      // Copied at once: whoever gives the pieces may cleanse one when the next is asked for.
      const part = this.#waiting.subarray(0, lengthBytes - at);
      bytes.set(part, at);
      this.#waiting = this.#waiting.subarray(part.length);
      at += part.length;
    }
    return bytes;
  }

  /** Throws BACKUP_REFUSED unless everything was read. */
  async end(): Promise<void> {
    if (await this.more()) throw unsuitable('there is something behind its end');
  }

  /** Lets go of what the bytes come from. */
  async close(): Promise<void> {
    await this.#pieces.return?.();
  }
}
