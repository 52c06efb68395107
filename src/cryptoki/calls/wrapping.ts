import { andThen } from '../../base/eventually.js';
import type { Allowance } from '../../objects/gate.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { exactly, fillRoom } from '../answer.js';
import type { Handlers } from '../handler.js';
import { checkOaepSource } from '../oaep-source.js';
import { requireWritable } from './objects.js';

/** Throws CKR_ARGUMENTS_BAD, or what CloudHSM answers. */
function given(mechanism: Mechanism | null, { allow }: Allowance): Mechanism {
  if (mechanism === null) throw ckr('CKR_ARGUMENTS_BAD', 'there is no mechanism');
  checkOaepSource(mechanism, allow);
  return mechanism;
}

/** Wrapping and unwrapping keys (v2.40 base, 5.13). All that is decided of keys is decided in the HSM. */
export const wrappingCalls = {
  // A room that is too small, or a length query, makes the HSM check everything and wrap nothing: no IV is used up.
  C_WrapKey: (session, { pMechanism, hWrappingKey, hKey, pWrappedKey: room }) => {
    session.requireLogin();
    const allowance = session.token.gate.allowance('C_WrapKey');
    const request = {
      wrappingKey: hWrappingKey,
      handle: hKey,
      mechanism: given(pMechanism, allowance),
      roomBytes: Math.max(room, 0),
    };
    return andThen(session.client.wrapKey(request, 'C_WrapKey'), ({ lengthBytes, wrapped, iv }) => {
      allowance.settle();
      const produce = (): Buffer => wrapped!;
      const filled = fillRoom(room, exactly(lengthBytes), produce, () => undefined);
      return andThen(filled, (pWrappedKey) => ({ pWrappedKey, pMechanism: iv }));
    });
  },

  C_UnwrapKey: (session, { pMechanism, hUnwrappingKey, pWrappedKey, pTemplate }) => {
    session.requireLogin();
    const allowance = session.token.gate.allowance('C_UnwrapKey');
    const request = {
      unwrappingKey: hUnwrappingKey,
      mechanism: given(pMechanism, allowance),
      wrapped: pWrappedKey,
      template: pTemplate,
    };
    const unwrapped = session.client.unwrapKey(
      request,
      (token) => requireWritable(session, token),
      'C_UnwrapKey',
    );
    return andThen(unwrapped, ({ handle, token }) => {
      allowance.settle();
      return token ? { phKey: handle } : andThen(session.adopt(handle), () => ({ phKey: handle }));
    });
  },
} satisfies Handlers;
