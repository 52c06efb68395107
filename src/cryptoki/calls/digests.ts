import { andThen, type Eventually } from '../../base/eventually.js';
import { createDigest, digestAnywhere, hashLengthBytes } from '../../crypto/index.js';
import type { Room } from '../../wire/arguments.js';
import { exactly, fillRoom } from '../answer.js';
import type { Handlers } from '../handler.js';
import { beginOrCancel, endOnFailure, requireWhole } from '../operation-flow.js';
import type { DigestOperation } from '../operations.js';
import type { Session } from '../session.js';

function give(session: Session, operation: DigestOperation, room: Room, produce: () => Eventually<Buffer>) {
  const output = fillRoom(room, exactly(operation.lengthBytes), produce, () => session.end('digest'));
  return andThen(output, (pDigest) => ({ pDigest }));
}

/** Message digesting (v2.40 base, 5.10). It runs in the client, as in CloudHSM's library: no HSM sees the data. */
export const digestCalls = {
  C_DigestInit: (session, { pMechanism }) =>
    beginOrCancel(session, 'digest', pMechanism, ({ type, parameter }) => {
      const hash = session.mechanisms.part(type, 'digest');
      const hasParameter = parameter !== undefined;
      if (hasParameter) session.token.gate.allow('digest-parameter', 'C_DigestInit', 'there is a parameter');
      return {
        lengthBytes: hashLengthBytes[hash],
        hash,
        hasParameter,
        running: createDigest(hash),
        inParts: false,
        discard: () => undefined,
      };
    }),

  C_Digest: (session, { pData, pDigest }) =>
    endOnFailure(session, 'digest', () => {
      const operation = session.operation('digest');
      requireWhole(operation);
      return give(session, operation, pDigest, () => digestAnywhere(operation.hash, pData));
    }),

  C_DigestUpdate: (session, { pPart }) =>
    endOnFailure(session, 'digest', () => {
      const operation = session.operation('digest');
      operation.running.update(pPart);
      operation.inParts = true;
    }),

  C_DigestFinal: (session, { pDigest }) =>
    endOnFailure(session, 'digest', () => {
      const operation = session.operation('digest');
      return give(session, operation, pDigest, () => operation.running.finish());
    }),
} satisfies Handlers;
