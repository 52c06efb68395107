import { limits } from '../base/limits.js';
import { ckr } from '../pkcs11/ckr.js';

/** Parts of an input that the HSM wants in one piece. Bounded, and cleansed when it ends. */
export class Collector {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** Keeps a copy. Throws CKR_DATA_LEN_RANGE beyond the bound. */
  add(part: Buffer): void {
    if (this.#bytes + part.length > limits.collectedBytes) {
      throw ckr('CKR_DATA_LEN_RANGE', `more than ${limits.collectedBytes} bytes in one operation`);
    }
    this.#parts.push(Buffer.from(part));
    this.#bytes += part.length;
  }

  whole(): Buffer {
    return Buffer.concat(this.#parts);
  }

  clear(): void {
    for (const part of this.#parts) part.fill(0);
    this.#parts = [];
    this.#bytes = 0;
  }
}
