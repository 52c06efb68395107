import { andThen, type Eventually } from '../../base/eventually.js';
import { limits } from '../../base/limits.js';
import { longestInput, tooMuchData } from '../../mechanisms/data-limits.js';
import type { CipherMechanism, Direction, KeyShape } from '../../mechanisms/mechanism.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { LengthOnly, Room } from '../../wire/arguments.js';
import { atMost, exactly, fillRoom } from '../answer.js';
import { Collector } from '../collector.js';
import type { Handlers } from '../handler.js';
import { checkOaepSource } from '../oaep-source.js';
import {
  allowParts,
  beginOrCancel,
  changedOperation,
  type KeyOperationPlan,
  onKey,
  requireWhole,
  withOperation,
} from '../operation-flow.js';
import type { CipherOperation } from '../operations.js';
import type { Session } from '../session.js';
import { planUpdate, type UpdatePlan } from '../stream.js';

const NOTHING = Buffer.alloc(0);
/** A multiple of every cipher's block. */
const WHOLE_BLOCKS_BYTES = 16;

function prepare(
  session: Session,
  direction: Direction,
  handle: number,
  mechanism: Mechanism,
): KeyOperationPlan<Direction> & { readonly cipher: CipherMechanism } {
  session.requireLogin();
  const cipher = session.mechanisms.part(mechanism.type, direction);
  const request = { handle, use: direction, mechanism: mechanism.type, keyTypes: cipher.keyTypes };
  const allowance = session.token.gate.allowance(direction === 'encrypt' ? 'C_EncryptInit' : 'C_DecryptInit');
  const build = (key: KeyShape): CipherOperation => {
    cipher.check(mechanism.parameter, key, direction);
    checkOaepSource(mechanism, allowance.allow);
    allowance.settle();
    const { parameter } = mechanism;
    const maxInputBytes = longestInput(cipher, direction, parameter, key);
    const refusal = (lengthBytes: number, maxBytes: number): Error =>
      tooMuchData(direction, lengthBytes, maxBytes);
    const collected = new Collector(Math.min(maxInputBytes, limits.collectedBytes), refusal);
    const stream = cipher.stream && {
      parameter,
      held: NOTHING,
      offsetBytes: 0,
      bytesLeft: cipher.stream.keyStreamBytes?.(parameter),
    };
    return {
      direction,
      handle,
      mechanism,
      cipher,
      key,
      maxInputBytes,
      stream,
      collected,
      inParts: false,
      discard: () => {
        collected.clear();
        stream?.held.fill(0);
      },
    };
  };
  return { request, build, cipher };
}

/**
 * The IV that the HSM makes when the program leaves it open. CloudHSM's library writes it to the caller's pIv by the
 * time C_Encrypt returns (reference 9.4). It is written at once, in C_EncryptInit: then nobody has to keep the pointer,
 * and a program that frees its parameter after Init comes to no harm.
 */
function withHsmIv(
  session: Session,
  mechanism: Mechanism,
  cipher: CipherMechanism,
): Eventually<{ mechanism: Mechanism; iv?: Buffer }> {
  const { hsmIv } = cipher;
  if (hsmIv === undefined) return { mechanism };
  const { type, parameter } = mechanism;
  if (!hsmIv.isOpen(parameter)) {
    session.token.gate.allow('gcm-caller-iv', 'C_EncryptInit', 'Iv invalid');
    return { mechanism };
  }
  const made = session.madeIv ?? session.client.send('generateIv', { lengthBytes: hsmIv.lengthBytes });
  return andThen(made, (iv) => ({
    mechanism: { type, parameter: hsmIv.with(parameter, iv) },
    iv,
  }));
}

function run(
  session: Session,
  operation: CipherOperation,
  mechanism: Mechanism,
  input: Buffer,
): Eventually<Buffer> {
  return session.client.send(operation.direction, { handle: operation.handle, mechanism, input });
}

/** One part of an operation in parts, in as many requests as the HSM's bound makes of it. */
function runPart(
  session: Session,
  operation: CipherOperation,
  { mechanism, input }: UpdatePlan,
): Eventually<Buffer> {
  const { maxDataBytes } = operation.cipher;
  if (maxDataBytes === undefined || input.length <= maxDataBytes)
    return run(session, operation, mechanism, input);
  return runInPieces(
    session,
    operation,
    mechanism,
    input,
    maxDataBytes - (maxDataBytes % WHOLE_BLOCKS_BYTES),
  );
}

async function runInPieces(
  session: Session,
  operation: CipherOperation,
  { type, parameter: first }: Mechanism,
  input: Buffer,
  pieceBytes: number,
): Promise<Buffer> {
  const outputs: Buffer[] = [];
  let parameter = first;
  for (let at = 0; at < input.length; at += pieceBytes) {
    const piece = input.subarray(at, at + pieceBytes);
    const output = await run(session, operation, { type, parameter }, piece);
    outputs.push(output);
    parameter = operation.cipher.stream!.next(parameter, operation.direction, piece, output);
  }
  return Buffer.concat(outputs);
}

/** Runs the whole input, or what is left of it, in one piece, and ends the operation. */
function last(
  session: Session,
  operation: CipherOperation,
  parameter: Mechanism['parameter'],
  input: Buffer,
  room: Room,
): Eventually<Buffer | LengthOnly> {
  const { cipher, direction, key, mechanism } = operation;
  const maxBytes = cipher.maxOutputBytes(direction, input.length, parameter, key);
  const length = direction === 'encrypt' ? exactly(maxBytes) : atMost(maxBytes);
  const produce = (): Eventually<Buffer> =>
    run(session, operation, { type: mechanism.type, parameter }, input);
  return fillRoom(room, length, produce, () => session.end(direction));
}

/** Throws CKR_DATA_LEN_RANGE or CKR_ENCRYPTED_DATA_LEN_RANGE. */
function checkLength({ direction, maxInputBytes }: CipherOperation, input: Buffer): void {
  if (input.length > maxInputBytes) throw tooMuchData(direction, input.length, maxInputBytes);
}

function whole(
  session: Session,
  direction: Direction,
  input: Buffer,
  room: Room,
): Eventually<Buffer | LengthOnly> {
  return withOperation(session, direction, (operation) => {
    requireWhole(operation);
    checkLength(operation, input);
    return last(session, operation, operation.mechanism.parameter, input, room);
  });
}

const nothing = (room: Room, conclude: () => void): Eventually<Buffer | LengthOnly> =>
  fillRoom(room, exactly(0), () => NOTHING, conclude);

function update(
  session: Session,
  direction: Direction,
  part: Buffer,
  room: Room,
): Eventually<Buffer | LengthOnly> {
  return withOperation(session, direction, (operation) => {
    const { cipher, stream, collected } = operation;
    if (cipher.singlePart) allowParts(session, direction, operation);
    const taken = (take: () => void) => (): void => {
      operation.inParts = true;
      take();
    };
    if (stream === undefined)
      return nothing(
        room,
        taken(() => collected.add(part)),
      );
    if (part.length > operation.maxInputBytes) {
      const call = direction === 'encrypt' ? 'C_EncryptUpdate' : 'C_DecryptUpdate';
      session.token.gate.allow('long-part', call, `${part.length} bytes in one part`);
    }
    const plan = planUpdate(cipher.stream!, stream, direction, part);
    if (plan.input.length === 0)
      return nothing(
        room,
        taken(() => plan.commit(NOTHING)),
      );
    let whole: Buffer = NOTHING;
    const produce = (): Eventually<Buffer> =>
      andThen(runPart(session, operation, plan), (output) => {
        whole = output;
        return output.subarray(plan.skipBytes);
      });
    return fillRoom(
      room,
      exactly(plan.outputBytes),
      produce,
      taken(() => plan.commit(whole)),
    );
  });
}

function final(session: Session, direction: Direction, room: Room): Eventually<Buffer | LengthOnly> {
  return withOperation(session, direction, (operation) => {
    const { stream, collected, mechanism, cipher } = operation;
    if (cipher.singlePart) allowParts(session, direction, operation);
    if (stream === undefined) return last(session, operation, mechanism.parameter, collected.whole(), room);
    // A key stream, or whole blocks without padding: nothing is left to do.
    const padded = mechanism.type !== cipher.stream!.partMechanism;
    if (stream.held.length === 0 && !padded) return nothing(room, () => session.end(direction));
    return last(session, operation, stream.parameter, stream.held, room);
  });
}

/** Encryption and decryption (v2.40 base, 5.8 and 5.9). */
export const encryptionCalls = {
  C_EncryptInit: (session, { pMechanism, hKey }) => {
    let iv: Buffer | undefined;
    const begun = beginOrCancel(session, 'encrypt', pMechanism, (mechanism) => {
      const plan = prepare(session, 'encrypt', hKey, mechanism);
      return andThen(onKey(session, 'encrypt', plan), (operation) =>
        andThen(withHsmIv(session, mechanism, plan.cipher), (made) => {
          iv = made.iv;
          const use = (known: CipherOperation) => ({ ...known, mechanism: made.mechanism });
          return iv === undefined ? operation : changedOperation(operation, use);
        }),
      );
    });
    return andThen(begun, () => ({ pMechanism: iv }));
  },

  C_Encrypt: (session, { pData, pEncryptedData }) =>
    andThen(whole(session, 'encrypt', pData, pEncryptedData), (filled) => ({ pEncryptedData: filled })),

  C_EncryptUpdate: (session, { pPart, pEncryptedPart }) =>
    andThen(update(session, 'encrypt', pPart, pEncryptedPart), (filled) => ({ pEncryptedPart: filled })),

  C_EncryptFinal: (session, { pLastEncryptedPart }) =>
    andThen(final(session, 'encrypt', pLastEncryptedPart), (filled) => ({ pLastEncryptedPart: filled })),

  C_DecryptInit: (session, { pMechanism, hKey }) =>
    beginOrCancel(session, 'decrypt', pMechanism, (mechanism) =>
      onKey(session, 'decrypt', prepare(session, 'decrypt', hKey, mechanism)),
    ),

  C_Decrypt: (session, { pEncryptedData, pData }) =>
    andThen(whole(session, 'decrypt', pEncryptedData, pData), (filled) => ({ pData: filled })),

  C_DecryptUpdate: (session, { pEncryptedPart, pPart }) =>
    andThen(update(session, 'decrypt', pEncryptedPart, pPart), (filled) => ({ pPart: filled })),

  C_DecryptFinal: (session, { pLastPart }) =>
    andThen(final(session, 'decrypt', pLastPart), (filled) => ({ pLastPart: filled })),
} satisfies Handlers;
