import { andThen, type Eventually } from '../../base/eventually.js';
import type { CipherMechanism, Direction } from '../../mechanisms/mechanism.js';
import { cipherFor } from '../../mechanisms/registry.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { LengthOnly, Room } from '../../wire/arguments.js';
import { atMost, exactly, fillRoom } from '../answer.js';
import { Collector } from '../collector.js';
import type { Handlers } from '../handler.js';
import { beginOrCancel, decideForm, endOnFailure } from '../operation-flow.js';
import type { CipherOperation } from '../operations.js';
import type { Session } from '../session.js';
import { planUpdate } from '../stream.js';

const NOTHING = Buffer.alloc(0);

function prepare(
  session: Session,
  direction: Direction,
  handle: number,
  mechanism: Mechanism,
): Eventually<CipherOperation> {
  session.requireLogin();
  const cipher = cipherFor(mechanism.type, session.token.slot.cluster.settings.mode);
  const request = { handle, use: direction, mechanism: mechanism.type, keyTypes: cipher.keyTypes };
  return andThen(session.client.send('describeKey', request), (key) => {
    cipher.check(mechanism.parameter, key, direction);
    const { parameter } = mechanism;
    const collected = new Collector();
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
      stream,
      collected,
      form: 'undecided',
      discard: () => {
        collected.clear();
        stream?.held.fill(0);
      },
    };
  });
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
  const lengthBytes = cipher.hsmIvBytes?.(mechanism.parameter);
  if (lengthBytes === undefined) return { mechanism };
  return andThen(session.client.send('generateRandom', { lengthBytes }), (iv) => ({
    mechanism: { type: mechanism.type, parameter: cipher.withIv!(mechanism.parameter, iv) },
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

function whole(
  session: Session,
  direction: Direction,
  input: Buffer,
  room: Room,
): Eventually<Buffer | LengthOnly> {
  const operation = session.operation(direction);
  return endOnFailure(session, direction, () => {
    decideForm(operation, 'whole');
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
  const operation = session.operation(direction);
  return endOnFailure(session, direction, () => {
    decideForm(operation, 'parts');
    const { cipher, stream, collected } = operation;
    if (stream === undefined) return nothing(room, () => collected.add(part));
    const plan = planUpdate(cipher.stream!, stream, direction, part);
    if (plan.input.length === 0) return nothing(room, () => plan.commit(NOTHING));
    let whole: Buffer = NOTHING;
    const produce = (): Eventually<Buffer> =>
      andThen(run(session, operation, plan.mechanism, plan.input), (output) => {
        whole = output;
        return output.subarray(plan.skipBytes);
      });
    return fillRoom(room, exactly(plan.outputBytes), produce, () => plan.commit(whole));
  });
}

function final(session: Session, direction: Direction, room: Room): Eventually<Buffer | LengthOnly> {
  const operation = session.operation(direction);
  return endOnFailure(session, direction, () => {
    decideForm(operation, 'parts');
    const { stream, collected, mechanism, cipher } = operation;
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
    const begun = beginOrCancel(session, 'encrypt', pMechanism, (mechanism) =>
      andThen(prepare(session, 'encrypt', hKey, mechanism), (operation) =>
        andThen(withHsmIv(session, mechanism, operation.cipher), (made) => {
          iv = made.iv;
          return iv === undefined ? operation : { ...operation, mechanism: made.mechanism };
        }),
      ),
    );
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
      prepare(session, 'decrypt', hKey, mechanism),
    ),

  C_Decrypt: (session, { pEncryptedData, pData }) =>
    andThen(whole(session, 'decrypt', pEncryptedData, pData), (filled) => ({ pData: filled })),

  C_DecryptUpdate: (session, { pEncryptedPart, pPart }) =>
    andThen(update(session, 'decrypt', pEncryptedPart, pPart), (filled) => ({ pPart: filled })),

  C_DecryptFinal: (session, { pLastPart }) =>
    andThen(final(session, 'decrypt', pLastPart), (filled) => ({ pLastPart: filled })),
} satisfies Handlers;
