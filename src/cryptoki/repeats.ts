import { limits } from '../base/limits.js';
import { LONG_DIGEST_BYTES, type Repeatable, repeatableDigest, repeatableHashed } from '../crypto/index.js';
import { type LeaseRequest, Repeated } from '../hsm/leases.js';
import type { HashedSignature } from '../mechanisms/mechanism.js';
import { CKR } from '../pkcs11/ckr.js';
import type { AnyOutput } from '../wire/arguments.js';
import { type CallName, type CallRow, calls, numberOfCall } from '../wire/calls.js';
import { writeAnswer } from '../wire/codec.js';
import { Collector } from './collector.js';
import { type LastOperation, NO_IV, type Span } from './last-operation.js';
import {
  type CipherOperation,
  DeferredOperation,
  type DigestOperation,
  type KeyOperationKind,
  type OperationKind,
  type SignatureOperation,
} from './operations.js';
import type { Session } from './session.js';
import { settleWhenAsked } from './unsettled.js';

/*
 * A program that signs, verifies, or encrypts, again and again asks in the same words each time: the same C_SignInit, perhaps with another IV,
 * then data. When Init has come twice, and all of it was decided, the HSM gives a lease (src/hsm/leases.ts), and what carries the
 * frames answers them by itself, until it sees anything else on such an operation of that session, or the lease is recalled. What was
 * begun then the session goes on with: nobody can tell the difference. Digests need no lease: they ask no HSM.
 */

/** What is repeated of one kind of operation. */
interface KindRow {
  /** The calls on it, first Init, then the one that runs it whole. */
  readonly calls: readonly CallName[];
  /** Undefined where it may not be repeated. */
  repeated(session: Session, last: LastOperation): Repeated | undefined;
}

const onKey = (use: KeyOperationKind, ...names: CallName[]): KindRow => ({
  calls: names,
  repeated: (session, last) => leased(session, use, last) ?? asked(session, use, last),
});

/** THE row per kind of operation. */
const kinds: Readonly<Record<OperationKind, KindRow>> = {
  digest: {
    calls: ['C_DigestInit', 'C_Digest', 'C_DigestUpdate', 'C_DigestFinal'],
    repeated: (_session, { operation }) => {
      const { hash, hasParameter } = operation as DigestOperation;
      return hasParameter ? undefined : new Repeated(repeatableDigest(hash), LONG_DIGEST_BYTES - 1);
    },
  },
  sign: onKey('sign', 'C_SignInit', 'C_Sign', 'C_SignUpdate', 'C_SignFinal'),
  verify: onKey('verify', 'C_VerifyInit', 'C_Verify', 'C_VerifyUpdate', 'C_VerifyFinal'),
  encrypt: onKey('encrypt', 'C_EncryptInit', 'C_Encrypt', 'C_EncryptUpdate', 'C_EncryptFinal'),
  decrypt: onKey('decrypt', 'C_DecryptInit', 'C_Decrypt', 'C_DecryptUpdate', 'C_DecryptFinal'),
};

/** What a call is to operations that are repeated. */
export interface RepeatStep {
  readonly kind: OperationKind;
  readonly step: 'init' | 'run' | 'other';
}

export const repeatSteps: ReadonlyMap<string, RepeatStep> = new Map(
  Object.entries(kinds).flatMap(([kind, { calls: names }]) =>
    names.map((name, at) => [
      name,
      { kind: kind as OperationKind, step: (['init', 'run'] as const)[at] ?? 'other' },
    ]),
  ),
);

/** What carries frames is told what to answer. */
export interface RepeatTerms {
  readonly session: number;
  /** By their numbers on the wire: Init, the one that runs it whole, the others. */
  readonly calls: readonly number[];
  /** Init's frame. */
  readonly request: Buffer;
  /** The IV in it, which may be another one each time; 0 bytes where there is none. */
  readonly ivAt: number;
  readonly ivBytes: number;
  /** An IV of zeros asks for something else. */
  readonly refusesZeroIv: boolean;
  /** Init's answer, which ends with the IV that the work makes, if it makes one. */
  readonly answer: Buffer;
  readonly longestInputBytes: number;
  readonly work: Repeatable;
  /** How often it was begun, and run: counted by who does it. */
  readonly uses: Float64Array;
}

/** An operation that was begun when the repeat ended. */
export interface Begun {
  /** The program's, or made for it. */
  readonly iv: Buffer;
}

/** What carries an application's frames, and can answer them. */
export interface Repeater {
  readonly longestIvBytes: number;
  /** Returns what ends it. `onEnded` is called where a frame ends it, before that frame is handed over. */
  start(terms: RepeatTerms, onEnded: (begun: Begun | undefined) => void): () => Begun | undefined;
  /** Brings the uses up to date. */
  settle(): void;
}

/** Beside which all else of a request finds room in a frame to an HSM. */
const LONGEST_ASKED_BYTES = limits.hsmFrameBytes / 2;

type RepeatedOperation = DigestOperation | SignatureOperation | CipherOperation;

/** The IV in Init's frame, of which what was read from it is a view. */
function ivIn(frame: Buffer, operation: RepeatedOperation): Span {
  if (!('cipher' in operation)) return NO_IV;
  const iv = operation.cipher.ivOf?.(operation.mechanism.parameter);
  if (iv === undefined || iv.buffer !== frame.buffer) return NO_IV;
  const at = iv.byteOffset - frame.byteOffset;
  return at >= 0 && at + iv.length <= frame.length ? { at, bytes: iv.length } : NO_IV;
}

/** Where the client hashes the data, and the HSM gets the hash. */
const hashedOf = (operation: RepeatedOperation): HashedSignature | undefined =>
  'data' in operation && !(operation.data instanceof Collector) ? operation.data.hashed : undefined;

/** Each Init of it is a question to the gate. */
const isAskedAbout = (operation: SignatureOperation | CipherOperation, session: Session): boolean =>
  hashedOf(operation)?.isTooWeak?.(operation.key, session.mechanisms.kind) === true;

/** What the HSM refuses now, it will refuse when it is asked: the call that has just succeeded does not fail for it. */
function leaseFrom(session: Session, request: LeaseRequest): Repeated | undefined {
  try {
    return session.client.lease(request);
  } catch {
    return undefined;
  }
}

/** Undefined where it may not be repeated. */
function leased(session: Session, use: KeyOperationKind, last: LastOperation): Repeated | undefined {
  const operation = last.operation as SignatureOperation | CipherOperation;
  if (isAskedAbout(operation, session)) return undefined;
  const { handle, mechanism } = operation;
  const makesIv = Buffer.isBuffer(last.output?.['pMechanism']);
  return leaseFrom(session, { use, handle, mechanism, makesIv });
}

/** HSMs elsewhere are asked for it each time, but by nobody else. */
function asked(session: Session, use: KeyOperationKind, { operation }: LastOperation): Repeated | undefined {
  if (use !== 'sign' && use !== 'verify') return undefined;
  const signature = operation as SignatureOperation;
  if (isAskedAbout(signature, session)) return undefined;
  const { handle, mechanism, described, maxDataBytes, signatureLengthBytes } = signature;
  return session.client.askAgain({
    ...{ use, handle, mechanism, described },
    outputBytes: use === 'sign' ? signatureLengthBytes : 0,
    longestInputBytes: Math.min(maxDataBytes, LONGEST_ASKED_BYTES),
  });
}

/** The repeats of one application. */
export class Repeats {
  /**
   * @param dispatch has a frame done as if it came from the program
   * @param count is told of calls that were answered
   */
  constructor(
    private readonly repeater: Repeater,
    private readonly dispatch: (frame: Buffer) => void,
    private readonly count: (call: CallRow, times: number) => void,
  ) {}

  /** A call has succeeded: Init at once, others also later. */
  done({ kind, step }: RepeatStep, session: Session, frame: Buffer, output: AnyOutput | undefined): void {
    const last = session.lastOperations[kind];
    if (step === 'init' && session.isActive(kind)) {
      const operation = session.operation(kind);
      if (operation instanceof DeferredOperation) return;
      last.begun(frame, ivIn(frame, operation as RepeatedOperation), output, operation);
    }
    if (step !== 'run' || session.closed || session.isActive(kind) || last.stop !== undefined) return;
    if (last.isRepeated()) this.#offer(session, kind, last);
  }

  #offer(session: Session, kind: OperationKind, last: LastOperation): void {
    if (last.iv.bytes > this.repeater.longestIvBytes) return;
    const repeated = kinds[kind].repeated(session, last);
    if (repeated !== undefined) this.#start(session, kind, last, repeated);
  }

  #start(session: Session, kind: OperationKind, last: LastOperation, repeated: Repeated): void {
    const { init, iv, output } = last;
    const numbers = kinds[kind].calls.map(numberOfCall);
    const [initRow, runRow] = numbers.map((number): CallRow => calls[number]!) as [CallRow, CallRow];
    const operation = last.operation as RepeatedOperation;
    const hashed = hashedOf(operation);
    const isGivenIv =
      kind === 'encrypt' && 'cipher' in operation && operation.cipher.hsmIv !== undefined && iv.bytes > 0;
    repeated.onUsed = (begun, run) => {
      this.count(initRow, begun);
      this.count(runRow, run);
      // What Init says of it each time.
      if (isGivenIv && begun !== 0) session.token.gate.repeated('gcm-caller-iv', initRow.name, begun);
    };
    repeated.onSettling = () => this.repeater.settle();
    const stopSettling = settleWhenAsked(() => repeated.settle());
    const over = (begun: Begun | undefined): void => {
      stopSettling();
      last.stop = undefined;
      if (begun !== undefined) repeated.takeOver(begun.iv);
      repeated.end();
    };
    const goOn = (begun: Begun | undefined): void => {
      over(begun);
      if (begun === undefined) return;
      if (repeated.remembers) session.begin(kind, (operation as SignatureOperation).again());
      else this.#goOn(session, last, begun);
    };
    const terms: RepeatTerms = {
      session: session.handle,
      calls: numbers,
      request: init,
      ivAt: iv.at,
      ivBytes: iv.bytes,
      refusesZeroIv: isGivenIv,
      answer: writeAnswer(initRow, CKR.CKR_OK, output),
      longestInputBytes: hashed === undefined ? repeated.longestInputBytes : Number.POSITIVE_INFINITY,
      work:
        hashed === undefined
          ? repeated.work
          : repeatableHashed(repeated.work, hashed.hash, hashed.prefix ?? Buffer.alloc(0)),
      uses: repeated.uses,
    };
    const end = this.repeater.start(terms, goOn);
    repeated.onRecalled = () => goOn(end());
    last.stop = () => {
      end();
      over(undefined);
    };
  }

  /** What the repeat has begun the session begins. */
  #goOn(session: Session, { init, iv: span }: LastOperation, { iv }: Begun): void {
    const frame = Buffer.from(init);
    if (span.bytes > 0) iv.copy(frame, span.at);
    else if (iv.length > 0) session.madeIv = iv;
    this.dispatch(frame);
    session.madeIv = undefined;
  }
}
