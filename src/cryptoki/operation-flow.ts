import { andThen, type Eventually, orElse } from '../base/eventually.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Mechanism } from '../pkcs11/layouts.js';
import { BufferTooSmall } from './answer.js';
import type { DataOperation, OperationKind, Operations } from './operations.js';
import type { Session } from './session.js';

/**
 * What every C_…Init does: a NULL mechanism cancels an operation (PKCS#11 v3.0 base, 5.9.1, which programs written for
 * it use), an active operation of the kind refuses a second one, and otherwise `prepare` decides everything.
 */
export function beginOrCancel<Kind extends OperationKind>(
  session: Session,
  kind: Kind,
  mechanism: Mechanism | null,
  prepare: (mechanism: Mechanism) => Eventually<Operations[Kind]>,
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

/** Asks about data that comes in parts for a mechanism that takes it whole, once per operation. */
export function allowParts(session: Session, kind: keyof typeof updateCalls, operation: DataOperation): void {
  if (operation.form !== 'undecided') return;
  session.token.gate.allow('single-part-mechanism', updateCalls[kind], `a ${kind} operation in parts`);
}

/** The first call on data decides the form, even if it only asks for a length. Throws CKR_OPERATION_ACTIVE. */
export function decideForm(operation: DataOperation, form: 'whole' | 'parts'): void {
  if (operation.form !== 'undecided' && operation.form !== form) {
    throw ckr(
      'CKR_OPERATION_ACTIVE',
      `the operation's data comes ${operation.form === 'parts' ? 'in parts' : 'whole'}`,
    );
  }
  operation.form = form;
}
