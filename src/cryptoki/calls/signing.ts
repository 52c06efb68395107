import { andThen, type Eventually } from '../../base/eventually.js';
import { limits } from '../../base/limits.js';
import { createDigest, digest } from '../../crypto/index.js';
import { longestMessage, tooMuchData } from '../../mechanisms/data-limits.js';
import { type KeyShape, withPrefix } from '../../mechanisms/mechanism.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { Room } from '../../wire/arguments.js';
import { exactly, fillRoom } from '../answer.js';
import { Collector } from '../collector.js';
import type { Handlers } from '../handler.js';
import {
  allowParts,
  beginOrCancel,
  type KeyOperationPlan,
  onKey,
  requireWhole,
  withOperation,
} from '../operation-flow.js';
import type { SignatureOperation } from '../operations.js';
import type { Session } from '../session.js';

type Use = 'sign' | 'verify';

const refuseData = (lengthBytes: number, maxBytes: number): Error =>
  tooMuchData('sign', lengthBytes, maxBytes);

/** Decides everything: mechanism, key and permission, sizes, and what happens to the data on its way to the HSM. */
function prepare(session: Session, use: Use, handle: number, mechanism: Mechanism): KeyOperationPlan<Use> {
  session.requireLogin();
  const { mechanisms } = session;
  const { hashedSignature, signature: whole } = mechanisms.row(mechanism.type, use);
  const hashed = hashedSignature ?? whole?.hashedWhen?.(mechanism.parameter);
  hashed?.checkHash?.(mechanism.parameter);
  const type = hashed?.base ?? mechanism.type;
  const signature = mechanisms.part(type, use);
  const request = { handle, use, mechanism: mechanism.type, keyTypes: signature.keyTypes };
  const build = (key: KeyShape): SignatureOperation => {
    signature.check(mechanism.parameter, key);
    if (hashed?.isTooWeak?.(key, mechanisms.kind)) {
      const call = use === 'sign' ? 'C_SignInit' : 'C_VerifyInit';
      session.token.gate.allow('weak-ecdsa-hash', call, `${hashed.hash} for a key on ${key.curve}`);
    }
    const maxDataBytes = longestMessage(signature);
    const data = hashed
      ? { hashed, running: createDigest(hashed.hash) }
      : new Collector(Math.min(maxDataBytes, limits.collectedBytes), refuseData);
    return {
      handle,
      mechanism: { type, parameter: mechanism.parameter },
      signature,
      key,
      maxDataBytes,
      signatureLengthBytes: signature.signatureLengthBytes(key),
      described: request,
      again: () => build(key),
      data,
      inParts: false,
      discard: () => {
        if (data instanceof Collector) data.clear();
      },
    };
  };
  return { request, build };
}

/** What the HSM gets for data that came in one piece. */
function wholeInput({ data, maxDataBytes }: SignatureOperation, input: Buffer): Buffer {
  if (!(data instanceof Collector)) return withPrefix(data.hashed, digest(data.hashed.hash, input));
  if (input.length > maxDataBytes) throw refuseData(input.length, maxDataBytes);
  return input;
}

/** What the HSM gets at the end of an operation in parts. */
function collectedInput({ data }: SignatureOperation): Buffer {
  return data instanceof Collector ? data.whole() : withPrefix(data.hashed, data.running.finish());
}

/** Of what goes through a hash, only the hash must come whole. */
function checkParts(session: Session, use: Use, operation: SignatureOperation): void {
  if (operation.signature.singlePart && operation.data instanceof Collector)
    allowParts(session, use, operation);
}

function update(session: Session, use: Use, part: Buffer): Eventually<void> {
  return withOperation(session, use, (operation) => {
    checkParts(session, use, operation);
    if (operation.data instanceof Collector) operation.data.add(part);
    else operation.data.running.update(part);
    operation.inParts = true;
  });
}

function sign(session: Session, operation: SignatureOperation, room: Room, input: () => Buffer) {
  const { handle, mechanism, signatureLengthBytes } = operation;
  const produce = (): Eventually<Buffer> =>
    session.client.send('sign', { handle, mechanism, input: input() });
  const output = fillRoom(room, exactly(signatureLengthBytes), produce, () => session.end('sign'));
  return andThen(output, (filled) => ({ pSignature: filled }));
}

/** Throws CKR_SIGNATURE_LEN_RANGE or CKR_SIGNATURE_INVALID. Verification ends the operation whatever its result. */
function verify(
  session: Session,
  operation: SignatureOperation,
  given: Buffer,
  input: () => Buffer,
): Eventually<void> {
  const { handle, mechanism, key, signatureLengthBytes } = operation;
  const signature = operation.signature.padSignature?.(key, given) ?? given;
  if (signature.length !== signatureLengthBytes) {
    throw ckr(
      'CKR_SIGNATURE_LEN_RANGE',
      `a signature of ${given.length} bytes instead of ${signatureLengthBytes}`,
    );
  }
  return andThen(session.client.send('verify', { handle, mechanism, input: input(), signature }), (valid) => {
    session.end('verify');
    if (!valid) throw ckr('CKR_SIGNATURE_INVALID', "the signature is not the data's");
  });
}

/** C_Sign and its like: runs `run` on the operation, whose data comes in this form. */
function finish<T>(
  session: Session,
  use: Use,
  form: 'whole' | 'parts',
  run: (operation: SignatureOperation) => Eventually<T>,
): Eventually<T> {
  return withOperation(session, use, (operation) => {
    if (form === 'parts') checkParts(session, use, operation);
    else requireWhole(operation);
    return run(operation);
  });
}

/** Signing and MACing (v2.40 base, 5.11), and verifying them (5.12). */
export const signingCalls = {
  C_SignInit: (session, { pMechanism, hKey }) =>
    beginOrCancel(session, 'sign', pMechanism, (mechanism) =>
      onKey(session, 'sign', prepare(session, 'sign', hKey, mechanism)),
    ),

  C_Sign: (session, { pData, pSignature }) =>
    finish(session, 'sign', 'whole', (operation) =>
      sign(session, operation, pSignature, () => wholeInput(operation, pData)),
    ),

  C_SignUpdate: (session, { pPart }) => update(session, 'sign', pPart),

  C_SignFinal: (session, { pSignature }) =>
    finish(session, 'sign', 'parts', (operation) =>
      sign(session, operation, pSignature, () => collectedInput(operation)),
    ),

  C_VerifyInit: (session, { pMechanism, hKey }) =>
    beginOrCancel(session, 'verify', pMechanism, (mechanism) =>
      onKey(session, 'verify', prepare(session, 'verify', hKey, mechanism)),
    ),

  C_Verify: (session, { pData, pSignature }) =>
    finish(session, 'verify', 'whole', (operation) =>
      verify(session, operation, pSignature, () => wholeInput(operation, pData)),
    ),

  C_VerifyUpdate: (session, { pPart }) => update(session, 'verify', pPart),

  C_VerifyFinal: (session, { pSignature }) =>
    finish(session, 'verify', 'parts', (operation) =>
      verify(session, operation, pSignature, () => collectedInput(operation)),
    ),
} satisfies Handlers;
