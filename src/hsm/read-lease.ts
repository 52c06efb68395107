import { readRule } from '../objects/rules.js';
import type { CommandName } from './commands/index.js';
import { counterOf } from './handles.js';
import type { HsmSession } from './hsm-session.js';

/*
 * Attributes of the same few objects are asked for again and again. Whoever has been answered may give the same answer again as long as
 * nothing has happened after which the HSM might answer otherwise: that is counted where leases are recalled (leases.ts).
 */

/** What a client wants to answer by itself: what `getAttributes` has just answered. */
export interface ReadRequest {
  readonly handle: number;
  readonly types: readonly number[];
}

/** Objects that share a count, so that work on one key leaves what is known of most others. */
const SHARES = 64;

/** Where an object's changes are counted, beside those of all objects. */
export const changesOf = (handle: number): number => 1 + (counterOf(handle) % SHARES);

/** Counts what happens to objects: for all of them first, and then for those that share a number. */
export class ObjectChanges {
  /** An answer holds while the sum of the first and of its object's number is what it was (native/addon/transport/reads.cc). */
  readonly counts = new Float64Array(1 + SHARES);

  /** To an object, or to any. */
  note(handle: number | undefined): void {
    this.counts[handle === undefined ? 0 : changesOf(handle)]!++;
  }
}

/** A connection's answers to `getAttributes`. */
export class ReadLease {
  /** How often one was given again since it was last asked: whoever gives them counts here. */
  readonly uses = new Float64Array(1);
  /** To be told of that number. */
  onUsed: ((times: number) => void) | undefined;
  /** To be told that the connection has ended. */
  onEnded: (() => void) | undefined;

  constructor(
    readonly changes: Float64Array,
    private readonly count: (name: CommandName, times: number) => void,
  ) {}

  settle(): void {
    const times = this.uses[0]!;
    this.uses[0] = 0;
    this.count('getAttributes', times);
    this.onUsed?.(times);
  }
}

/** Whether a read is answered the same each time, and counts nowhere: what only a profile allows to be read is reported each time.
 * Throws what the command would. */
export function isSteady(session: HsmSession, { handle, types }: ReadRequest): boolean {
  session.requireLogin('CU');
  const { kind } = session.object(handle);
  return types.every((type) => readRule(kind, type) === 'Y');
}
