import type { Time } from '../../src/control-plane/state/time.js';

/** Time that stands still until a test moves it. What is due at once runs by itself. */
export class VirtualTime implements Time {
  #nowMs: number;
  readonly #waiting = new Set<{ atMs: number; run: () => void }>();

  /** It begins a little after now: certificates that openssl makes in a test are valid. */
  constructor() {
    this.#nowMs = Math.round(Date.now()) + 60_000;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, run: () => void): () => void {
    if (atMs <= this.#nowMs) {
      const timer = setImmediate(run);
      return () => clearImmediate(timer);
    }
    const entry = { atMs, run };
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  /** Lets time pass, moment by moment; `settle` waits for what each of them sets going. */
  async advance(ms: number, settle: () => Promise<void>): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = Math.min(...[...this.#waiting].map(({ atMs }) => atMs));
      if (next > endMs) break;
      this.#nowMs = next;
      for (const entry of [...this.#waiting].filter(({ atMs }) => atMs <= next)) {
        this.#waiting.delete(entry);
        entry.run();
      }
      await settle();
    }
    this.#nowMs = endMs;
  }
}
