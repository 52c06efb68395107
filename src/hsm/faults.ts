import { setTimeout as sleep } from 'node:timers/promises';
import { Failure } from '../base/errors.js';
import { andThen, type Eventually } from '../base/eventually.js';
import { ckr } from '../pkcs11/ckr.js';
import type { RecordStore } from '../store/record-store.js';
import type { AnswerOf, CommandName, RequestOf } from './commands/index.js';
import { counterOf } from './handles.js';
import { busy, mayBeRefused } from './throttle.js';
import { HsmUnavailable } from './unavailable.js';

/** What can be wrong with an HSM on demand, and what it is for the people who ask. */
export const faults = {
  unreachable: 'answers nobody; its sessions are lost',
  slow: 'takes a second longer for everything',
  throttled: 'answers that it is busy',
  'half-synchronised': 'lacks every other token key, also new ones',
  tamper: 'has zeroised its keys, lost its sessions, and refuses all work',
  'read-only-disk': 'cannot write: nothing new is durable, what is there serves',
  'full-disk': 'has no room: nothing new is durable, what is there serves',
} as const;

export type Fault = keyof typeof faults;
export const faultKinds = Object.keys(faults) as readonly Fault[];

/** With them go the connections of clients, and session keys. */
export const losesSessions: ReadonlySet<Fault> = new Set<Fault>(['unreachable', 'tamper']);

/** Why an HSM does not simply do what it is told: a fault, or that it has still to catch up with the others. */
export type Condition = Fault | 'joining';

const SLOW_MS = 1_000;

/** Whose command it is. */
export interface FaultedSession {
  /** It is another HSM of the cluster. */
  readonly isPeer: boolean;
  hasSessionObject(handle: number): boolean;
  /** Throws CKR_FUNCTION_FAILED for what is no masked object. */
  handleOfMasked(masked: Buffer): number;
}

/** Session keys are on no other HSM: nothing has been missed of them. */
const hides = (session: FaultedSession, handle: number): boolean =>
  counterOf(handle) % 2 === 1 && !session.hasSessionObject(handle);

/** Commands that name an object they cannot work without, or bring it: the HSM that lacks it is one that did not take it. */
const isHidden = (session: FaultedSession, name: CommandName, request: unknown): boolean => {
  const { handle, masked } = (request ?? {}) as { handle?: number; masked?: Buffer };
  if (name === 'insertMaskedObject') return hides(session, session.handleOfMasked(masked!));
  return handle !== undefined && hides(session, handle);
};
const usesKey: ReadonlySet<string> = new Set(['sign', 'verify', 'encrypt', 'decrypt', 'describeKey']);

/** What a command comes to under a condition; `run` does it. The other HSMs (`session.isPeer`) go on as long as anybody can. */
export function underCondition<N extends CommandName>(
  condition: Condition,
  session: FaultedSession,
  hsmId: string,
  name: N,
  request: RequestOf<N>,
  run: () => Eventually<AnswerOf<N>>,
): Eventually<AnswerOf<N>> {
  const { isPeer } = session;
  switch (condition) {
    case 'unreachable':
      throw new HsmUnavailable('unreachable', `${hsmId} does not answer`);
    case 'tamper':
      throw new HsmUnavailable('zeroised', `${hsmId} was tampered with and has zeroised its keys`);
    case 'joining':
      if (isPeer || name === 'synchronize') return run();
      throw new HsmUnavailable('joining', `${hsmId} has still to catch up with the others`);
    case 'slow':
      return sleep(SLOW_MS).then(run);
    case 'throttled':
      if (isPeer || !mayBeRefused(name)) return run();
      throw busy(hsmId);
    case 'half-synchronised':
      if (isPeer || !mayBeRefused(name)) return run();
      if (isHidden(session, name, request)) {
        const code = usesKey.has(name) ? 'CKR_KEY_HANDLE_INVALID' : 'CKR_OBJECT_HANDLE_INVALID';
        throw ckr(code, `${hsmId} is half-synchronised and has not got the object: heal it`);
      }
      if (name !== 'findObjects') return run();
      return andThen(
        run(),
        (found) => (found as readonly number[]).filter((handle) => !hides(session, handle)) as AnswerOf<N>,
      );
    case 'read-only-disk':
    case 'full-disk':
      return run();
  }
}

/** What a disk that fails answers whoever writes. */
function refusalUnder(condition: Condition | undefined): Failure | undefined {
  switch (condition) {
    case 'read-only-disk':
      return new Failure('CKR_TOKEN_WRITE_PROTECTED', "the HSM's disk is read-only: heal it to write again");
    case 'full-disk':
      return new Failure('CKR_DEVICE_MEMORY', "the HSM's disk is full: heal it to write again");
    default:
      return undefined;
  }
}

/** The store behind a disk that may fail on demand. */
export function failingOnDemand(store: RecordStore, condition: () => Condition | undefined): RecordStore {
  return {
    ...store,
    write: (changes) => {
      const refused = refusalUnder(condition());
      return refused === undefined ? store.write(changes) : Promise.reject(refused);
    },
  };
}
