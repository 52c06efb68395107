import { type CallName, type CallRow, calls, numberOfCall } from '../wire/calls.js';
import type { Session } from './session.js';
import { settleWhenAsked } from './unsettled.js';

/*
 * Calls that need no decision any more: C_FindObjects gives what C_FindObjectsInit has found. What carries the frames sees the memory
 * in which a session keeps that, and answers them by itself; both write there, in one thread, so nothing has to be handed over.
 */

/** What carries an application's frames, and sees memory of its sessions. */
export interface SessionSharer {
  /** Returns what ends it. */
  share(session: number, words: Float64Array): () => void;
}

const rowOf = (name: CallName): CallRow => calls[numberOfCall(name)]!;
const findRow = rowOf('C_FindObjects');
const findFinalRow = rowOf('C_FindObjectsFinal');

/** The sessions of one application. */
export class SharedSessions {
  /** @param count is told of calls that were answered */
  constructor(
    private readonly sharer: SessionSharer,
    private readonly count: (call: CallRow, times: number) => void,
  ) {}

  /** A search has begun. Sessions that search once are not worth it. */
  searched(session: Session): void {
    if (session.stopSharing === undefined && session.search.timesBegun > 1) this.#share(session);
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
