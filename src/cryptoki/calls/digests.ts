import { andThen } from '../../base/eventually.js';
import { createDigest, digest, hashLengthBytes } from '../../crypto/index.js';
import { noParameter } from '../../mechanisms/mechanism.js';
import { mechanismFor } from '../../mechanisms/registry.js';
import { ckr } from '../../pkcs11/ckr.js';
import { exactly, fillRoom } from '../answer.js';
import type { Handlers } from '../handler.js';
import { beginOrCancel, endOnFailure } from '../operation-flow.js';

/** Message digesting (v2.40 base, 5.10). It runs in the client, as in CloudHSM's library: no HSM sees the data. */
export const digestCalls = {
  C_DigestInit: (session, { pMechanism }) =>
    beginOrCancel(session, 'digest', pMechanism, ({ type, parameter }) => {
      const hash = mechanismFor(type, 'digest');
      noParameter(parameter);
      return { lengthBytes: hashLengthBytes[hash], hash, running: createDigest(hash), inParts: false };
    }),

  C_Digest: (session, { pData, pDigest }) => {
    const operation = session.operation('digest');
    return endOnFailure(session, 'digest', () => {
      if (operation.inParts)
        throw ckr('CKR_OPERATION_ACTIVE', 'C_DigestUpdate was called: C_DigestFinal ends it');
      const produce = (): Buffer => digest(operation.hash, pData);
      const output = fillRoom(pDigest, exactly(operation.lengthBytes), produce, () => session.end('digest'));
      return andThen(output, (filled) => ({ pDigest: filled }));
    });
  },

  C_DigestUpdate: (session, { pPart }) => {
    const operation = session.operation('digest');
    operation.inParts = true;
    operation.running.update(pPart);
  },

  C_DigestFinal: (session, { pDigest }) => {
    const operation = session.operation('digest');
    const produce = (): Buffer => operation.running.finish();
    const output = fillRoom(pDigest, exactly(operation.lengthBytes), produce, () => session.end('digest'));
    return andThen(output, (filled) => ({ pDigest: filled }));
  },
} satisfies Handlers;
