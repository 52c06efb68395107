import { andThen, type Eventually, orElse } from '../base/eventually.js';
import type { RequestOf } from '../hsm/commands/index.js';
import type { KeyShape } from '../mechanisms/mechanism.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import type { CallName } from '../wire/calls.js';
import { BufferTooSmall } from './answer.js';
import {
  type ActiveOperation,
  type DataOperation,
  DeferredOperation,
  type KeyOperationKind,
  type OperationKind,
  type Operations,
} from './operations.js';
import type { Session } from './session.js';

/**
 * What every C_…Init does: a NULL mechanism cancels an operation (PKCS#11 v3.0 base, 5.9.1, which programs written for
 * it use), an active operation of the kind refuses a second one, and otherwise `prepare` decides everything.
 */
export function beginOrCancel<Kind extends OperationKind>(
  session: Session,
  kind: Kind,
  mechanism: Mechanism | null,
  prepare: (mechanism: Mechanism) => Eventually<ActiveOperation<Kind>>,
): Eventually<void> {
  if (mechanism === null) {
    if (session.end(kind)) return undefined;
    throw ckr('CKR_ARGUMENTS_BAD', 'there is no mechanism, and no operation to cancel');
  }
  session.requireIdle(kind);
  return andThen(prepare(mechanism), (operation) => session.begin(kind, operation));
}

/** Any failure but CKR_BUFFER_TOO_SMALL ends an operation (v2.40 base, 5.2 and each function's text). */
export function endOnFailure<T>(
  session: Session,
  kind: OperationKind,
  run: () => Eventually<T>,
): Eventually<T> {
  return orElse(run, (error) => {
    if (!(error instanceof BufferTooSmall)) session.end(kind);
    throw error;
  });
}

/** The call that brings the first part of an operation's data. */
const updateCalls = {
  encrypt: 'C_EncryptUpdate',
  decrypt: 'C_DecryptUpdate',
  sign: 'C_SignUpdate',
  verify: 'C_VerifyUpdate',
} as const;

/** Asks about data that comes in parts for a mechanism that takes it whole, until the first part has come. */
export function allowParts(session: Session, kind: keyof typeof updateCalls, operation: DataOperation): void {
  if (operation.inParts) return;
  session.token.gate.allow('single-part-mechanism', updateCalls[kind], `a ${kind} operation in parts`);
}

/** What Init decides by itself of an operation on a key: what the HSM is asked about the key, and the operation that follows
 * from its answer. */
export interface KeyOperationPlan<Kind extends KeyOperationKind> {
  readonly request: RequestOf<'describeKey'>;
  build(key: KeyShape): Operations[Kind];
}

/** What begins an operation. */
const initCalls = {
  sign: 'C_SignInit',
  verify: 'C_VerifyInit',
  encrypt: 'C_EncryptInit',
  decrypt: 'C_DecryptInit',
} as const satisfies Record<KeyOperationKind, CallName>;

/** The operation, once the HSM has been asked: at once, or, without validate-key-at-init, when it first has something to do. */
export function onKey<Kind extends KeyOperationKind>(
  session: Session,
  kind: Kind,
  plan: KeyOperationPlan<Kind>,
): Eventually<ActiveOperation<Kind>> {
  const ask = (): Eventually<Operations[Kind]> =>
    andThen(session.client.describeKey(plan.request, initCalls[kind]), (key) => plan.build(key));
  return session.token.slot.options.validateKeyAtInit
    ? ask()
    : (new DeferredOperation(ask) as ActiveOperation<Kind>);
}

/** The operation with something changed, now or when it is known. */
export function changedOperation<Kind extends KeyOperationKind>(
  operation: ActiveOperation<Kind>,
  change: (known: Operations[Kind]) => Operations[Kind],
): ActiveOperation<Kind> {
  if (!(operation instanceof DeferredOperation)) return change(operation as Operations[Kind]);
  const deferred = operation as DeferredOperation<Kind>;
  return new DeferredOperation(() => andThen(deferred.resolve(), change)) as ActiveOperation<Kind>;
}

/** Runs on the active operation, which ends if that fails. Throws CKR_OPERATION_NOT_INITIALIZED. */
export function withOperation<Kind extends KeyOperationKind, T>(
  session: Session,
  kind: Kind,
  run: (operation: Operations[Kind]) => Eventually<T>,
): Eventually<T> {
  const active = session.operation(kind);
  return endOnFailure(session, kind, () => {
    if (!(active instanceof DeferredOperation)) return run(active as Operations[Kind]);
    return andThen((active as DeferredOperation<Kind>).resolve(), (operation) => {
      session.replace(kind, active, operation as ActiveOperation<Kind>);
      return run(operation);
    });
  });
}

/** Throws CKR_OPERATION_ACTIVE where data has begun to come in parts. */
export function requireWhole({ inParts }: DataOperation): void {
  if (inParts) throw ckr('CKR_OPERATION_ACTIVE', "the operation's data comes in parts");
}
