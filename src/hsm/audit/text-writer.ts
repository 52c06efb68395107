const FIRST_BYTES = 16 * 1024;
/** Nine digits at a time are a small integer. */
const BILLION = 1e9;
const BILLION_DIGITS = 9;
/** Of 2^64. */
const MOST_DIGITS = 20;
const ZERO = 0x30;
const marks = { '[': 0x5b, ',': 0x2c, ']': 0x5d } as const;
type Mark = keyof typeof marks;

function digitsOf(small: number): number {
  let digits = 1;
  for (let power = 10; power <= small; power *= 10) digits++;
  return digits;
}

function putDigits(to: Buffer, at: number, small: number, digits: number): number {
  let left = small | 0;
  for (let place = at + digits - 1; place >= at; place--) {
    const rest = (left / 10) | 0;
    to[place] = ZERO + left - rest * 10;
    left = rest;
  }
  return at + digits;
}

/** Where it ends. */
function putInteger(to: Buffer, at: number, value: number): number {
  if (value < BILLION) return putDigits(to, at, value, digitsOf(value));
  const high = Math.floor(value / BILLION);
  return putDigits(to, putInteger(to, at, high), value - high * BILLION, BILLION_DIGITS);
}

/** Puts a text together where it stays, as UTF-8: to make strings of numbers and join them takes twice as long and more. */
export class TextWriter {
  #bytes = Buffer.allocUnsafe(FIRST_BYTES);
  #length = 0;

  text(text: string): this {
    this.#reserve(3 * text.length);
    this.#length += this.#bytes.write(text, this.#length);
    return this;
  }

  mark(mark: Mark): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = marks[mark];
    return this;
  }

  /** What is in front of it, and an integer from 0 to 2^64, as exact as it is. */
  integer(before: Mark, value: number): this {
    this.mark(before).#reserve(MOST_DIGITS);
    this.#length = putInteger(this.#bytes, this.#length, value);
    return this;
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
  }

  /** The text so far, which the next one overwrites. */
  written(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  restart(): this {
    this.#length = 0;
    return this;
  }
}
