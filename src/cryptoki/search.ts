import { ckr } from '../pkcs11/ckr.js';

const states = { none: 0, shared: 1, own: 2 } as const;

/** A session's memory that what carries its frames sees as well, and answers calls by: how many numbers, where they are, and the state
 * in which it answers (native/addon/transport/sessions.h). */
export const sessionWords = {
  ...{ state: 0, found: 1, given: 2, finds: 3, finals: 4, readLease: 5, handles: 6 },
  count: 16,
  shared: states.shared,
} as const;
const words = sessionWords;
const MOST_SHARED_HANDLES = words.count - words.handles;

/** How often C_FindObjects and C_FindObjectsFinal were answered elsewhere. */
export interface SearchUses {
  readonly finds: number;
  readonly finals: number;
}

const NO_WORDS = new Float64Array(words.count);

/** A session's search: what C_FindObjectsInit has found is what there is to give, whatever becomes of the objects. */
export class Search {
  #words = NO_WORDS;
  #handles: readonly number[] = [];
  timesBegun = 0;

  get isUnderWay(): boolean {
    return this.#words[words.state] !== states.none;
  }

  /** Throws CKR_OPERATION_ACTIVE. */
  requireIdle(): void {
    if (this.isUnderWay) throw ckr('CKR_OPERATION_ACTIVE', 'a find operation is active');
  }

  /** Throws CKR_OPERATION_NOT_INITIALIZED. */
  requireUnderWay(): void {
    if (!this.isUnderWay) throw ckr('CKR_OPERATION_NOT_INITIALIZED', 'no find operation is active');
  }

  begin(handles: readonly number[]): void {
    this.requireIdle();
    const shared = this.shared;
    this.#handles = handles;
    this.timesBegun++;
    shared[words.found] = handles.length;
    shared[words.given] = 0;
    const fits = handles.length <= MOST_SHARED_HANDLES;
    if (fits) for (const [at, handle] of handles.entries()) shared[words.handles + at] = handle;
    shared[words.state] = fits ? states.shared : states.own;
  }

  /** How many of at most `max` there are to give. */
  left(max: number): number {
    return Math.min(max, this.#words[words.found]! - this.#words[words.given]!);
  }

  /** Gives so many of them. */
  take(count: number): readonly number[] {
    const given = this.#words[words.given]!;
    this.#words[words.given] = given + count;
    return this.#handles.slice(given, given + count);
  }

  end(): void {
    if (this.isUnderWay) this.#words[words.state] = states.none;
    this.#handles = [];
  }

  /** The memory, for what else may end the search and take from it. */
  get shared(): Float64Array {
    if (this.#words === NO_WORDS) this.#words = new Float64Array(words.count);
    return this.#words;
  }

  /** Under which what the session has read is answered again (shared-sessions.ts). */
  set readLease(lease: number) {
    this.shared[words.readLease] = lease;
  }

  /** Since it was last asked. */
  uses(): SearchUses {
    const shared = this.shared;
    const uses = { finds: shared[words.finds]!, finals: shared[words.finals]! };
    shared.fill(0, words.finds, words.finals + 1);
    return uses;
  }
}
