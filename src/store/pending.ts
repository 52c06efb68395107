import type { Frame, FrameChange } from './journal-frame.js';

/** So few are put into their places one by one; more are sorted with all others. */
const FEW = 32;

const nameOf = (key: Buffer): string => key.toString('latin1');

/** What is durable in the journal and not in LMDB yet, by key: what readers see before they look there. */
export class PendingChanges {
  readonly #changes: Map<string, FrameChange>;
  /** Later frames, whose changes are not among them yet. */
  #unread: Frame[] = [];
  /** Their names in ascending order, which for latin1 is the byte order; but for the last ones, which get their places when somebody
   * asks for an order: most writes are followed by another one. */
  #names: string[];
  #last: string[] = [];

  constructor(changes = new Map<string, FrameChange>(), names: string[] = []) {
    this.#changes = changes;
    this.#names = names;
  }

  get isEmpty(): boolean {
    return this.#changes.size === 0 && this.#unread.length === 0;
  }

  add(frame: Frame): void {
    this.#unread.push(frame);
  }

  /** All changes: most writes are followed by another one before somebody looks. */
  #read(): Map<string, FrameChange> {
    if (this.#unread.length === 0) return this.#changes;
    for (const frame of this.#unread) {
      for (const change of frame.changes()) {
        const { size } = this.#changes;
        this.#changes.set(change.name, change);
        if (this.#changes.size > size) this.#last.push(change.name);
      }
    }
    this.#unread = [];
    return this.#changes;
  }

  #inOrder(): string[] {
    this.#read();
    if (this.#last.length > FEW) this.#names = this.#names.concat(this.#last).sort();
    else for (const name of this.#last) this.#names.splice(this.#placeOf(name), 0, name);
    this.#last = [];
    return this.#names;
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
    return this.isEmpty ? undefined : this.#read().get(nameOf(key));
  }

  /** The last changes of the keys from `start` on and before `end`, in byte order: a copy. */
  range(start: Buffer, end: Buffer): FrameChange[] {
    if (this.isEmpty) return [];
    const names = this.#inOrder();
    const found = names.slice(this.#placeOf(nameOf(start)), this.#placeOf(nameOf(end)));
    return found.map((name) => this.#changes.get(name)!);
  }

  /** In byte order. */
  all(): FrameChange[] {
    return this.#inOrder().map((name) => this.#changes.get(name)!);
  }

  /** Forgets what is in LMDB: everything up to this frame. */
  release(applied: number): void {
    this.#names = this.#inOrder().filter((name) => {
      const isPending = this.#changes.get(name)!.sequence > applied;
      if (!isPending) this.#changes.delete(name);
      return isPending;
    });
  }

  copy(): PendingChanges {
    const names = [...this.#inOrder()];
    return new PendingChanges(new Map(this.#changes), names);
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
