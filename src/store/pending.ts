import type { FrameChange } from './journal-frame.js';

/** So few are put into their places one by one; more are sorted with all others. */
const FEW = 32;

const nameOf = (key: Buffer): string => key.toString('latin1');

/** What is durable in the journal and not in LMDB yet, by key: what readers see before they look there. */
export class PendingChanges {
  readonly #changes: Map<string, FrameChange>;
  /** Their names in ascending order, which for latin1 is the byte order. */
  #names: string[];

  constructor(changes = new Map<string, FrameChange>(), names: string[] = []) {
    this.#changes = changes;
    this.#names = names;
  }

  get size(): number {
    return this.#names.length;
  }

  add(changes: readonly FrameChange[]): void {
    const added: string[] = [];
    for (const change of changes) {
      const { name } = change;
      if (!this.#changes.has(name)) added.push(name);
      this.#changes.set(name, change);
    }
    if (added.length > FEW) this.#names = this.#names.concat(added).sort();
    else for (const name of added) this.#names.splice(this.#placeOf(name), 0, name);
  }

  /** How many names come before it. */
  #placeOf(name: string): number {
    let [from, to] = [0, this.#names.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.#names[middle]! < name) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** The last change of a key, if one is pending. */
  get(key: Buffer): FrameChange | undefined {
    return this.size === 0 ? undefined : this.#changes.get(nameOf(key));
  }

  /** The last changes of the keys from `start` on and before `end`, in byte order: a copy. */
  range(start: Buffer, end: Buffer): FrameChange[] {
    if (this.size === 0) return [];
    const names = this.#names.slice(this.#placeOf(nameOf(start)), this.#placeOf(nameOf(end)));
    return names.map((name) => this.#changes.get(name)!);
  }

  /** In byte order. */
  all(): FrameChange[] {
    return this.#names.map((name) => this.#changes.get(name)!);
  }

  /** Forgets what is in LMDB: everything up to this frame. */
  release(applied: number): void {
    this.#names = this.#names.filter((name) => {
      const isPending = this.#changes.get(name)!.sequence > applied;
      if (!isPending) this.#changes.delete(name);
      return isPending;
    });
  }

  copy(): PendingChanges {
    return new PendingChanges(new Map(this.#changes), [...this.#names]);
  }
}

/** Keys in byte order: those of LMDB with the changes that are pending. */
export function* mergedKeys(stored: Iterable<Buffer>, pending: readonly FrameChange[]): Generator<Buffer> {
  let at = 0;
  for (const key of stored) {
    let isChanged = false;
    for (; at < pending.length; at++) {
      const { key: changed, isRemoval } = pending[at]!;
      const order = changed.compare(key);
      if (order > 0) break;
      if (order === 0) isChanged = true;
      if (!isRemoval) yield changed;
    }
    if (!isChanged) yield key;
  }
  for (; at < pending.length; at++) if (!pending[at]!.isRemoval) yield pending[at]!.key;
}
