import type { Eventually } from '../../base/eventually.js';
import { andThen } from '../../base/eventually.js';
import { limits } from '../../base/limits.js';
import type { WrapDirection } from '../../mechanisms/mechanism.js';
import { boolAttribute } from '../../objects/hsm-object.js';
import { CKA } from '../../pkcs11/attributes.js';
import { ckr } from '../../pkcs11/ckr.js';
import { CKK } from '../../pkcs11/constants.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import type { HsmSession } from '../hsm-session.js';
import type { Command } from './command.js';
import { keyFor, withCkr } from './key-use.js';

/*
 * Keys that the host has in the clear, wrapped and unwrapped with a key of the HSM: what key_mgmt_util imports and exports keys with
 * ("exSymKey = WRAP_KEY + NIST_AES_WRAP", reference management-tools, section 8.1).
 */

interface HostKeyRequest {
  readonly handle: number;
  readonly mechanism: Mechanism;
  readonly input: Buffer;
}

function prepared(
  session: HsmSession,
  direction: WrapDirection,
  { handle, mechanism, input }: HostKeyRequest,
) {
  const wrapping = session.hsm.mechanisms.part(mechanism.type, direction);
  const aes = wrapping.keyTypes.filter((type) => type === CKK.CKK_AES);
  const loaded = keyFor(session, handle, direction, mechanism.type, aes);
  wrapping.check(mechanism.parameter, loaded.key, direction);
  if (input.length > limits.wrappedKeyBytes)
    throw ckr('CKR_DATA_LEN_RANGE', `no key has ${input.length} bytes`);
  return { wrapping, loaded };
}

/** Wraps a key that the host has. */
export const wrapHostKey: Command<HostKeyRequest, Buffer> = {
  login: 'CU',
  run: (session, request): Eventually<Buffer> => {
    const { wrapping, loaded } = prepared(session, 'wrap', request);
    const { mechanism, input } = request;
    wrapping.wrappedBytes(loaded.key, mechanism.parameter, input.length);
    const wrapped = withCkr(loaded, 'CKR_KEY_NOT_WRAPPABLE', () =>
      wrapping.wrap(loaded.key, mechanism.parameter, input),
    );
    return andThen(wrapped, (made) => made.wrapped);
  },
};

/** Unwraps one for the host, which then has it in the clear: not with a key that an admin trusts, nor with one that says what becomes
 * of the keys it unwraps, because nobody would hold to that here [guess]. CKR_KEY_FUNCTION_NOT_PERMITTED,
 * CKR_WRAPPED_KEY_INVALID. */
export const unwrapHostKey: Command<HostKeyRequest, Buffer> = {
  login: 'CU',
  run: (session, request): Eventually<Buffer> => {
    const { wrapping, loaded } = prepared(session, 'unwrap', request);
    const { object } = loaded;
    if (boolAttribute(object, CKA.CKA_TRUSTED) || object.attributes.has(CKA.CKA_UNWRAP_TEMPLATE))
      throw ckr(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
        `key ${request.handle} is trusted or has CKA_UNWRAP_TEMPLATE: what it unwraps stays in the HSM`,
      );
    return withCkr(loaded, 'CKR_WRAPPED_KEY_INVALID', () =>
      wrapping.unwrap(loaded.key, request.mechanism.parameter, request.input),
    );
  },
};
