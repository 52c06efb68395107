import type { Eventually } from '../base/eventually.js';
import type { HashName, RunningDigest } from '../crypto/index.js';
import type { RequestOf } from '../hsm/commands/index.js';
import type {
  CipherMechanism,
  Direction,
  HashedSignature,
  KeyShape,
  SignatureMechanism,
} from '../mechanisms/mechanism.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { Collector } from './collector.js';

/** An operation on data, which comes whole (C_Sign) or in parts (C_SignUpdate, C_SignFinal), never both. */
export interface DataOperation {
  /** The first part has come. A question how long the output will be is none (v2.40 base, 5.2). */
  inParts: boolean;
  /** Cleanses what is left of the data. */
  discard(): void;
}

export interface DigestOperation extends DataOperation {
  readonly hash: HashName;
  readonly lengthBytes: number;
  /** C_DigestInit has asked the gate about it, and has to each time. */
  readonly hasParameter: boolean;
  readonly running: RunningDigest;
}

/** Signing or verifying: C_SignInit decided everything, C_Sign only runs it. */
export interface SignatureOperation extends DataOperation {
  readonly handle: number;
  /** What the HSM will be asked for. */
  readonly mechanism: Mechanism;
  readonly signature: SignatureMechanism;
  readonly key: KeyShape;
  /** Of what reaches the HSM. */
  readonly maxDataBytes: number;
  readonly signatureLengthBytes: number;
  /** What the HSM was asked about the key. */
  readonly described: RequestOf<'describeKey'>;
  /** The same operation from its beginning. */
  readonly again: () => SignatureOperation;
  /** Where the data goes until the HSM sees it: through a hash, or collected as it is. */
  readonly data: { readonly hashed: HashedSignature; readonly running: RunningDigest } | Collector;
}

/** Encrypting or decrypting. */
export interface CipherOperation extends DataOperation {
  readonly direction: Direction;
  readonly handle: number;
  readonly mechanism: Mechanism;
  readonly cipher: CipherMechanism;
  readonly key: KeyShape;
  /** Of one request to the HSM, which is all of a whole input, or one part. */
  readonly maxInputBytes: number;
  /** Undefined where parts are only collected. */
  readonly stream: StreamState | undefined;
  readonly collected: Collector;
}

/** Where an operation in parts stands: all of it is here, none in the HSM, so another HSM can go on. */
export interface StreamState {
  /** The parameter for the next piece: the chaining block or the counter. */
  parameter: Mechanism['parameter'];
  /** Input that waits for the rest of its block. */
  held: Buffer;
  /** Bytes of the key stream's current block that are used up. */
  offsetBytes: number;
  /** What is left of a key stream before its counter would run over. */
  bytesLeft: bigint | undefined;
}

/** One operation of each kind may be active in a session, beside a search. */
export interface Operations {
  digest: DigestOperation;
  sign: SignatureOperation;
  verify: SignatureOperation;
  encrypt: CipherOperation;
  decrypt: CipherOperation;
}

export type OperationKind = keyof Operations;

/** Operations on a key. */
export type KeyOperationKind = Exclude<OperationKind, 'digest'>;

/** An operation that Init has begun without asking the HSM about its key (disable-validate-key-at-init): the first call
 * that works on it does, and learns what Init would have. */
export class DeferredOperation<Kind extends KeyOperationKind> {
  constructor(readonly resolve: () => Eventually<Operations[Kind]>) {}
}

/** What is active in a session. */
export type ActiveOperation<Kind extends OperationKind> =
  | Operations[Kind]
  | (Kind extends KeyOperationKind ? DeferredOperation<Kind> : never);
