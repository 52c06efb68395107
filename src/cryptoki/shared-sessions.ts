import { changesOf, type ReadLease } from '../hsm/read-lease.js';
import { CKR } from '../pkcs11/ckr.js';
import type { AnyOutput, CallInput } from '../wire/arguments.js';
import { type CallName, type CallRow, calls, numberOfCall } from '../wire/calls.js';
import { writeAnswer } from '../wire/codec.js';
import type { Session } from './session.js';
import { settleWhenAsked } from './unsettled.js';

/*
 * Calls that need no decision any more: C_FindObjects gives what C_FindObjectsInit has found, and C_GetAttributeValue what it gave last
 * time, as long as the HSM has not done anything after which it might be something else (src/hsm/read-lease.ts). What carries the frames
 * sees the memory in which this is kept, and answers them by itself; both write there, in one thread, so nothing has to be handed over.
 */

/** What carries an application's frames, and sees memory of its sessions. */
export interface SessionSharer {
  /** Returns what ends it. */
  share(session: number, words: Float64Array): () => void;
  /** Makes a lease known: its number. */
  lend(lease: Pick<ReadLease, 'changes' | 'uses'>): number;
  endLoan(loan: number): void;
  /** The call under way, which reads, has come before in the same words, and what it is answered is worth keeping. */
  hasComeAgain(): boolean;
  /** From now on gives the same answer, under the lease that the frame's session has and as long as its changes there are what they are. */
  keep(frame: Buffer, answer: Buffer, changesAt: number): void;
}

const rowOf = (name: CallName): CallRow => calls[numberOfCall(name)]!;
const findRow = rowOf('C_FindObjects');
const findFinalRow = rowOf('C_FindObjectsFinal');
const readRow = rowOf('C_GetAttributeValue');

/** What the HSM refuses now, it will refuse when it is asked: the call that has just succeeded does not fail for it. */
function leaseOf(session: Session, input: CallInput<'C_GetAttributeValue'>): ReadLease | undefined {
  const types = input.pTemplate.map(({ type }) => type);
  try {
    return session.client.read({ handle: input.hObject, types });
  } catch {
    return undefined;
  }
}

/** The sessions of one application. */
export class SharedSessions {
  readonly #loans = new Map<ReadLease, number>();

  /** @param count is told of calls that were answered */
  constructor(
    private readonly sharer: SessionSharer,
    private readonly count: (call: CallRow, times: number) => void,
  ) {}

  /** A search has begun. Sessions that search once are not worth it. */
  searched(session: Session): void {
    if (session.stopSharing === undefined && session.search.timesBegun > 1) this.#share(session);
  }

  /** C_GetAttributeValue has succeeded at once. */
  wasRead(session: Session, input: CallInput<'C_GetAttributeValue'>, frame: Buffer, output: AnyOutput): void {
    if (!this.sharer.hasComeAgain()) return;
    const lease = leaseOf(session, input);
    if (lease === undefined) return;
    if (session.stopSharing === undefined) this.#share(session);
    session.search.readLease = this.#loans.get(lease) ?? this.#lend(lease);
    this.sharer.keep(frame, writeAnswer(readRow, CKR.CKR_OK, output), changesOf(input.hObject));
  }

  #lend(lease: ReadLease): number {
    const loan = this.sharer.lend(lease);
    this.#loans.set(lease, loan);
    lease.onUsed = (times) => this.count(readRow, times);
    const stopSettling = settleWhenAsked(() => lease.settle());
    lease.onEnded = () => {
      stopSettling();
      this.#loans.delete(lease);
      this.sharer.endLoan(loan);
    };
    return loan;
  }

  #share(session: Session): void {
    const settle = (): void => {
      const { finds, finals } = session.search.uses();
      this.count(findRow, finds);
      this.count(findFinalRow, finals);
    };
    const end = this.sharer.share(session.handle, session.search.shared);
    const stopSettling = settleWhenAsked(settle);
    session.stopSharing = () => {
      session.stopSharing = undefined;
      end();
      stopSettling();
      settle();
    };
  }
}
