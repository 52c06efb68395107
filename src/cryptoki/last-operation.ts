import type { AnyOutput } from '../wire/arguments.js';
import type { ActiveOperation, OperationKind } from './operations.js';

/** Where the IV is in Init's frame, if the program passes one. */
export interface Span {
  readonly at: number;
  readonly bytes: number;
}

export const NO_IV: Span = { at: 0, bytes: 0 };
const NOTHING = Buffer.alloc(0);

/** An operation must have come so often before it is repeated; and twice as often after each time. */
const FIRST_WANTED = 2;
const MOST_WANTED = 64;

/** What a session did last of one kind. */
export class LastOperation {
  /** Init's frame. */
  init = NOTHING;
  iv: Span = NO_IV;
  output: AnyOutput | undefined;
  operation: ActiveOperation<OperationKind> | undefined;
  /** While it is repeated: ends that, and what was begun. */
  stop: (() => void) | undefined;
  #times = 0;
  #wanted = FIRST_WANTED;

  begun(
    init: Buffer,
    iv: Span,
    output: AnyOutput | undefined,
    operation: ActiveOperation<OperationKind> | undefined,
  ): void {
    this.#times = this.#isSame(init, iv) ? this.#times + 1 : 1;
    // A copy: frames share memory with others.
    if (this.init.length === init.length) init.copy(this.init);
    else this.init = Buffer.from(init);
    this.iv = iv;
    this.output = output;
    this.operation = operation;
  }

  /** The same words, but for the IV. */
  #isSame(init: Buffer, { at, bytes }: Span): boolean {
    if (init.length !== this.init.length || at !== this.iv.at || bytes !== this.iv.bytes) return false;
    const behind = at + bytes;
    return (
      init.compare(this.init, 0, at, 0, at) === 0 && init.compare(this.init, behind, undefined, behind) === 0
    );
  }

  /** Whether it has come often enough, one after the other. */
  isRepeated(): boolean {
    if (this.#times < this.#wanted) return false;
    this.#times = 0;
    this.#wanted = Math.min(2 * this.#wanted, MOST_WANTED);
    return true;
  }
}
