import type { CollectedKeys } from '../cluster/asked-keys.js';
import { ANY_HANDLE, handleIn } from '../cluster/key-commands.js';
import { MOST_LEAVING } from '../cluster/session-keys.js';
import { CKR } from '../pkcs11/ckr.js';
import type { CallInput, CallOutput } from '../wire/arguments.js';
import { type CallRow, calls, numberOfCall } from '../wire/calls.js';
import { writeAnswer } from '../wire/codec.js';
import { NO_IV } from './last-operation.js';
import type { Session } from './session.js';
import { settleWhenAsked } from './unsettled.js';

/*
 * A program that makes a session key for each of its connections, or messages, asks in the same words each time. When HSMs are elsewhere, what
 * carries its frames has the home asked for such keys (src/cluster/asked-keys.ts), and to destroy those that were made so.
 * The session learns of the keys before it does anything else: nobody can tell the difference.
 */

/** What carries frames is told which keys are made again. */
export interface MakeTerms {
  readonly session: number;
  /** The frame that makes one, and its answer, which has the handle there. */
  readonly request: Buffer;
  readonly answer: Buffer;
  readonly handleAt: number;
  /** The number of the call that destroys one, and its answer. */
  readonly destroyCall: number;
  readonly destroyed: Buffer;
  /** So many may be on their way; for one more the HSM is waited for. */
  readonly mostLeaving: number;
  readonly maker: object;
}

/** What was done since it was last asked. */
export interface MadeKeys extends CollectedKeys {
  readonly destroyed: number;
  /** The HSM has answered in another way: no more are made. */
  readonly isOver: boolean;
}

/** What carries an application's frames, and can have keys made. */
export interface KeyCarrier {
  /** Returns what ends it, and tells a last time what was made. */
  makeKeys(terms: MakeTerms, told: (made: MadeKeys) => void): () => void;
  /** Tells what was made since the last time. */
  collectKeys(): void;
}

const rowOf = (name: 'C_GenerateKey' | 'C_DestroyObject'): CallRow => calls[numberOfCall(name)]!;
const generateRow = rowOf('C_GenerateKey');
const destroyRow = rowOf('C_DestroyObject');

function termsOf(request: Buffer): Omit<MakeTerms, 'session' | 'maker'> {
  const answer = Buffer.from(writeAnswer(generateRow, CKR.CKR_OK, { phKey: ANY_HANDLE }));
  return {
    request,
    answer,
    handleAt: handleIn(answer).at,
    destroyCall: numberOfCall('C_DestroyObject'),
    destroyed: Buffer.from(writeAnswer(destroyRow, CKR.CKR_OK)),
    mostLeaving: MOST_LEAVING,
  };
}

/** The keys that one application has made again and again. */
export class RepeatedKeys {
  /** @param count is told of calls that were answered */
  constructor(
    private readonly carrier: KeyCarrier,
    private readonly count: (call: CallRow, times: number) => void,
  ) {}

  /** Has sessions know of all their keys. */
  collect(): void {
    this.carrier.collectKeys();
  }

  /** A session has made a key. */
  done(
    session: Session,
    { pMechanism, pTemplate }: CallInput<'C_GenerateKey'>,
    frame: Buffer,
    { phKey }: CallOutput<'C_GenerateKey'>,
  ): void {
    // Where HSMs are in this process nothing is gained: they make each key in JavaScript.
    if (session.closed || !session.client.spreads) return;
    const last = session.lastGenerated;
    last.begun(frame, NO_IV, undefined, undefined);
    if (!last.isRepeated()) return;
    // It has made others until now.
    last.stop?.();
    const request = { mechanism: pMechanism!.type, template: pTemplate, access: undefined };
    const keys = session.client.makeAgain(request, 'C_GenerateKey', phKey);
    if (keys === undefined) return;
    const told = (made: MadeKeys): void => {
      this.count(generateRow, made.made);
      this.count(destroyRow, made.destroyed);
      session.hasMade(made.handles);
      keys.collected(made);
      if (made.isOver) last.stop?.();
    };
    const end = this.carrier.makeKeys(
      { ...termsOf(last.init), session: session.handle, maker: keys.maker },
      told,
    );
    const stopSettling = settleWhenAsked(() => this.collect());
    last.stop = () => {
      last.stop = undefined;
      end();
      stopSettling();
      keys.end();
    };
    keys.onRecalled = () => last.stop?.();
  }
}
