/**
 * The last so many values that were used, about: the CLOCK algorithm (F. J. Corbató, "A paging experiment with the Multics system",
 * 1968). A Map in the order of use would do as well, but V8 walks over all that was deleted before its first key.
 */
export class ClockCache<Key, Value> {
  readonly #places = new Map<Key, number>();
  readonly #keys: (Key | undefined)[] = [];
  readonly #values: (Value | undefined)[] = [];
  readonly #isUsed: Uint8Array;
  #hand = 0;

  constructor(private readonly capacity: number) {
    this.#isUsed = new Uint8Array(capacity);
  }

  get(key: Key): Value | undefined {
    const place = this.#places.get(key);
    if (place === undefined) return undefined;
    this.#isUsed[place] = 1;
    return this.#values[place];
  }

  /** Another value may have to go: only out of here. */
  set(key: Key, value: Value): void {
    const place = this.#places.get(key) ?? this.#newPlace(key);
    this.#values[place] = value;
  }

  #newPlace(key: Key): number {
    const place = this.#keys.length < this.capacity ? this.#keys.length : this.#freePlace();
    this.#keys[place] = key;
    this.#places.set(key, place);
    return place;
  }

  /** That of the first value that has not been used since the hand was there last. */
  #freePlace(): number {
    for (;;) {
      const place = this.#hand;
      this.#hand = (place + 1) % this.capacity;
      if (this.#isUsed[place] === 1) {
        this.#isUsed[place] = 0;
        continue;
      }
      if (this.#values[place] !== undefined) this.#places.delete(this.#keys[place]!);
      return place;
    }
  }

  delete(key: Key): void {
    const place = this.#places.get(key);
    if (place === undefined) return;
    this.#places.delete(key);
    this.#keys[place] = undefined;
    this.#values[place] = undefined;
    this.#isUsed[place] = 0;
  }
}
