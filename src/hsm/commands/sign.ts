import { longestMessage, tooMuchData } from '../../mechanisms/data-limits.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { HsmSession } from '../hsm-session.js';
import type { Command } from './command.js';
import { keyFor, withCkr } from './key-use.js';

interface SignRequest {
  readonly handle: number;
  readonly mechanism: Mechanism;
  readonly input: Buffer;
}

const prepared = (session: HsmSession, use: 'sign' | 'verify', { handle, mechanism, input }: SignRequest) => {
  const { type, parameter } = mechanism;
  const signature = session.hsm.mechanisms.part(type, use);
  const loaded = keyFor(session, handle, use, type, signature.keyTypes);
  signature.check(parameter, loaded.key);
  const maxBytes = longestMessage(signature);
  if (input.length > maxBytes) throw tooMuchData('sign', input.length, maxBytes);
  signature.checkInput?.(parameter, loaded.key, input.length);
  return { signature, loaded };
};

/** Signs, or computes a MAC, in one piece. */
export const sign: Command<SignRequest, Buffer> = {
  login: 'CU',
  run: (session, request) => {
    const { signature, loaded } = prepared(session, 'sign', request);
    return withCkr(loaded, 'CKR_DATA_INVALID', () =>
      signature.sign(loaded.key, request.mechanism.parameter, request.input),
    );
  },
};

/** Whether the signature is the input's. It has the right length already: cryptoki has checked it. */
export const verify: Command<SignRequest & { readonly signature: Buffer }, boolean> = {
  login: 'CU',
  run: (session, request) => {
    const { signature, loaded } = prepared(session, 'verify', request);
    return withCkr(loaded, 'CKR_SIGNATURE_INVALID', () =>
      signature.verify(loaded.key, request.mechanism.parameter, request.input, request.signature),
    );
  },
};
