/** What work throws at once is what its promise rejects with. */
function begun<T>(work: () => Promise<T>): Promise<T> {
  try {
    return work();
  } catch (error) {
    return Promise.reject(error);
  }
}

/** Work on one thing at a time: what is asked for waits for what was asked for before, whether that succeeded or not. */
export class Turns<Key> {
  /** The last of each key; nothing is kept of those that rest. */
  readonly #last = new Map<Key, Promise<unknown>>();

  take<T>(key: Key, work: () => Promise<T>): Promise<T> {
    const turn = this.#last.get(key)?.then(work, work) ?? begun(work);
    this.#last.set(key, turn);
    const forget = (): void => {
      if (this.#last.get(key) === turn) this.#last.delete(key);
    };
    turn.then(forget, forget);
    return turn;
  }

  /** Resolves when all work that is under way now has been done. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#last.values());
  }
}
