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
  /** `end`: nothing is made any more; to be called after the last `collect`. */
  makeKeys(terms: MakeTerms): { collect(): MadeKeys | undefined; end(): void };
}

const rowOf = (name: 'C_GenerateKey' | 'C_DestroyObject'): CallRow => calls[numberOfCall(name)]!;
const generateRow = rowOf('C_GenerateKey');
const destroyRow = rowOf('C_DestroyObject');

/** The keys that one application has made again and again. */
export class RepeatedKeys {
  readonly #running = new Set<() => void>();

  /** @param count is told of calls that were answered */
  constructor(
    private readonly carrier: KeyCarrier,
    private readonly count: (call: CallRow, times: number) => void,
  ) {}

  /** Has sessions know of all their keys. */
  collect(): void {
    for (const collect of this.#running) collect();
  }

  /** A session has made a key. */
  done(
    session: Session,
    { pMechanism, pTemplate }: CallInput<'C_GenerateKey'>,
    frame: Buffer,
    { phKey }: CallOutput<'C_GenerateKey'>,
  ): void {
    const last = session.lastGenerated;
    if (session.closed) return;
    last.begun(frame, NO_IV, undefined, undefined);
    if (!last.isRepeated()) return;
    // It has made others until now.
    last.stop?.();
    const request = { mechanism: pMechanism!.type, template: pTemplate, access: undefined };
    const keys = session.client.makeAgain(request, 'C_GenerateKey', phKey);
    if (keys === undefined) return;
    const answer = Buffer.from(writeAnswer(generateRow, CKR.CKR_OK, { phKey: ANY_HANDLE }));
    const { collect, end } = this.carrier.makeKeys({
      session: session.handle,
      request: last.init,
      answer,
      handleAt: handleIn(answer).at,
      destroyCall: numberOfCall('C_DestroyObject'),
      destroyed: writeAnswer(destroyRow, CKR.CKR_OK),
      mostLeaving: MOST_LEAVING,
      maker: keys.maker,
    });
    const learn = (): void => {
      const news = collect();
      if (news === undefined) return;
      this.count(generateRow, news.made);
      this.count(destroyRow, news.destroyed);
      session.hasMade(news.handles);
      keys.collected(news);
      if (news.isOver) last.stop?.();
    };
    const stopSettling = settleWhenAsked(learn);
    this.#running.add(learn);
    last.stop = () => {
      last.stop = undefined;
      learn();
      end();
      stopSettling();
      this.#running.delete(learn);
      keys.end();
    };
    keys.onRecalled = () => last.stop?.();
  }
}
