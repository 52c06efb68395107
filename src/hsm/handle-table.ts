/** Slots without a handle; handles are positive. */
const EMPTY = 0;
const REMOVED = -1;
/** What is there instead of further handles of a hash that has too many. */
const MANY = -2;

const MOST_HANDLES = 16;
const LEAST_SLOTS = 64;

/** Which handles a hash of 32 bits leads to: open addressing in typed arrays, 16 to 32 bytes for each. */
export class HandleTable {
  #hashes = new Uint32Array(LEAST_SLOTS);
  #handles = new Float64Array(LEAST_SLOTS);
  /** Slots that are not EMPTY, and those of them that are REMOVED. */
  #taken = 0;
  #removed = 0;

  /** Adds a handle, unless it is there. */
  add(hash: number, handle: number): void {
    const mask = this.#handles.length - 1;
    let count = 0;
    let slot = hash & mask;
    for (; this.#handles[slot] !== EMPTY; slot = (slot + 1) & mask) {
      if (this.#hashes[slot] !== hash || this.#handles[slot] === REMOVED) continue;
      if (this.#handles[slot] === handle || this.#handles[slot] === MANY) return;
      count++;
    }
    this.#hashes[slot] = hash;
    this.#handles[slot] = count < MOST_HANDLES ? handle : MANY;
    this.#taken++;
    if (this.#taken * 4 > this.#handles.length * 3) this.#resize();
  }

  remove(hash: number, handle: number): void {
    const mask = this.#handles.length - 1;
    for (let slot = hash & mask; this.#handles[slot] !== EMPTY; slot = (slot + 1) & mask) {
      if (this.#hashes[slot] !== hash || this.#handles[slot] !== handle) continue;
      this.#handles[slot] = REMOVED;
      this.#removed++;
      return;
    }
  }

  /** The handles, ascending; undefined where there are or were too many: whoever asks has to look elsewhere. */
  find(hash: number): number[] | undefined {
    const found: number[] = [];
    const mask = this.#handles.length - 1;
    for (let slot = hash & mask; this.#handles[slot] !== EMPTY; slot = (slot + 1) & mask) {
      if (this.#hashes[slot] !== hash || this.#handles[slot] === REMOVED) continue;
      if (this.#handles[slot] === MANY) return undefined;
      found.push(this.#handles[slot]!);
    }
    return found.length > 1 ? found.sort((a, b) => a - b) : found;
  }

  /** Room for twice of what is there, without what was removed. */
  #resize(): void {
    const [hashes, handles] = [this.#hashes, this.#handles];
    const present = this.#taken - this.#removed;
    let slots = LEAST_SLOTS;
    while (slots < present * 2) slots *= 2;
    this.#hashes = new Uint32Array(slots);
    this.#handles = new Float64Array(slots);
    this.#taken = present;
    this.#removed = 0;
    const mask = slots - 1;
    for (let at = 0; at < handles.length; at++) {
      if (handles[at] === EMPTY || handles[at] === REMOVED) continue;
      let slot = hashes[at]! & mask;
      while (this.#handles[slot] !== EMPTY) slot = (slot + 1) & mask;
      this.#hashes[slot] = hashes[at]!;
      this.#handles[slot] = handles[at]!;
    }
  }
}
