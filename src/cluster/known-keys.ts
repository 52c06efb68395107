import type { AnswerOf, RequestOf } from '../hsm/commands/index.js';
import { type KeyUse, keyUses } from '../hsm/commands/key-use.js';

/** Beyond it everything is asked again. */
const MOST_KEYS = 10_000;

type Description = AnswerOf<'describeKey'>;

/** One number for a use and a mechanism, which is a CK_ULONG: exact, as none is larger than 32 bits. */
const waysOf = new Map<KeyUse, number>(keyUses.map((use, at) => [use, at]));
const wayOf = ({ use, mechanism }: RequestOf<'describeKey'>): number =>
  mechanism * keyUses.length + waysOf.get(use)!;

/**
 * What an HSM in another process has said of keys, so that an operation is one way there and back, not two. The HSM tells a
 * connection whenever a key that it has described there is no longer the same, before it tells anybody that the change is made; and
 * it looks again when the key is used. Whether approvals are there is not known for longer than the answer.
 */
export class KnownKeys {
  readonly #known = new Map<number, Map<number, Description>>();
  /** Who relies on what is known of a key. */
  readonly #relying = new Map<number, Set<() => void>>();
  /** Grows whenever something is forgotten: an answer that was under way then may be from before. */
  #epoch = 0;

  find(request: RequestOf<'describeKey'>): Description | undefined {
    const found = this.#known.get(request.handle)?.get(wayOf(request));
    return found !== undefined && request.keyTypes.includes(found.keyType) ? found : undefined;
  }

  /** What to remember an answer to this request by, when it comes. */
  begin(request: RequestOf<'describeKey'>): (answer: Description) => void {
    const epoch = this.#epoch;
    return (answer) => {
      if (!answer.lasting || epoch !== this.#epoch) return;
      if (this.#known.size >= MOST_KEYS) this.#known.clear();
      const ways = this.#known.get(request.handle);
      if (ways !== undefined) ways.set(wayOf(request), answer);
      else this.#known.set(request.handle, new Map([[wayOf(request), answer]]));
    };
  }

  /** Calls `ended` before anything of a key is forgotten, until it is told to stop. */
  relyOn(handle: number, ended: () => void): () => void {
    const all = this.#relying.get(handle) ?? new Set();
    this.#relying.set(handle, all.add(ended));
    return () => {
      all.delete(ended);
      if (all.size === 0 && this.#relying.get(handle) === all) this.#relying.delete(handle);
    };
  }

  forget(handle: number): void {
    for (const ended of this.#relying.get(handle) ?? []) ended();
    this.#epoch++;
    this.#known.delete(handle);
  }

  forgetAll(): void {
    for (const all of [...this.#relying.values()]) for (const ended of all) ended();
    this.#epoch++;
    this.#known.clear();
  }
}
