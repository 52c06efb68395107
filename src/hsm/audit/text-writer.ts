const FIRST_BYTES = 16 * 1024;
/** Nine digits at a time are a small integer. */
const BILLION = 1e9;
const BILLION_DIGITS = 9;
const MOST_DIGITS = 16;
const ZERO = 0x30;

function digitsOf(small: number): number {
  let digits = 1;
  for (let power = 10; power <= small; power *= 10) digits++;
  return digits;
}

/** Puts a text together where it stays, as UTF-8: strings are made of strings, and numbers become strings, in ten times the time. */
export class TextWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  text(text: string): this {
    this.#reserve(3 * text.length);
    const first = text.charCodeAt(0);
    // Most are a comma.
    if (text.length === 1 && first < 0x80) this.#bytes[this.#length++] = first;
    else this.#length += this.#bytes.write(text, this.#length);
    return this;
  }

  /** An integer from 0 to 2^53 - 1. */
  number(value: number): this {
    this.#reserve(MOST_DIGITS);
    if (value < BILLION) return this.#digits(value, digitsOf(value));
    const high = Math.floor(value / BILLION);
    return this.#digits(high, digitsOf(high)).#digits(value - high * BILLION, BILLION_DIGITS);
  }

  #digits(value: number, count: number): this {
    let left = value;
    this.#length += count;
    for (let at = 1; at <= count; at++) {
      const rest = Math.floor(left / 10);
      this.#bytes[this.#length - at] = ZERO + left - rest * 10;
      left = rest;
    }
    return this;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  /** What was written since the last time. It is overwritten with the next text. */
  take(): Buffer {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#length = 0;
    return taken;
  }
}
