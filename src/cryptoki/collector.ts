/** Parts of an input that the HSM wants in one piece. Bounded, and cleansed when it ends. */
export class Collector {
  #parts: Buffer[] = [];
  #bytes = 0;

  /** `refusal`: the failure for more than `maxBytes`. */
  constructor(
    private readonly maxBytes: number,
    private readonly refusal: (lengthBytes: number, maxBytes: number) => Error,
  ) {}

  /** Keeps a copy. */
  add(part: Buffer): void {
    const lengthBytes = this.#bytes + part.length;
    if (lengthBytes > this.maxBytes) throw this.refusal(lengthBytes, this.maxBytes);
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
