import { andThen } from '../../base/eventually.js';
import { ckr } from '../../pkcs11/ckr.js';
import type { Mechanism } from '../../pkcs11/layouts.js';
import { exactly, fillRoom } from '../answer.js';
import type { Handlers } from '../handler.js';
import { requireWritable } from './objects.js';

/** Throws CKR_ARGUMENTS_BAD. */
function given(mechanism: Mechanism | null): Mechanism {
  if (mechanism === null) throw ckr('CKR_ARGUMENTS_BAD', 'there is no mechanism');
  return mechanism;
}

/** Wrapping and unwrapping keys (v2.40 base, 5.13). All that is decided is decided in the HSM. */
export const wrappingCalls = {
  // A room that is too small, or a length query, makes the HSM check everything and wrap nothing: no IV is used up.
  C_WrapKey: (session, { pMechanism, hWrappingKey, hKey, pWrappedKey: room }) => {
    session.requireLogin();
    const request = {
      wrappingKey: hWrappingKey,
      handle: hKey,
      mechanism: given(pMechanism),
      roomBytes: Math.max(room, 0),
    };
    return andThen(session.client.wrapKey(request, 'C_WrapKey'), ({ lengthBytes, wrapped, iv }) => {
      const produce = (): Buffer => wrapped!;
      const filled = fillRoom(room, exactly(lengthBytes), produce, () => undefined);
      return andThen(filled, (pWrappedKey) => ({ pWrappedKey, pMechanism: iv }));
    });
  },

  C_UnwrapKey: (session, { pMechanism, hUnwrappingKey, pWrappedKey, pTemplate }) => {
    session.requireLogin();
    const request = {
      unwrappingKey: hUnwrappingKey,
      mechanism: given(pMechanism),
      wrapped: pWrappedKey,
      template: pTemplate,
    };
    const unwrapped = session.client.unwrapKey(
      request,
      (token) => requireWritable(session, token),
      'C_UnwrapKey',
    );
    return andThen(unwrapped, ({ handle, token }) =>
      token ? { phKey: handle } : andThen(session.adopt(handle), () => ({ phKey: handle })),
    );
  },
} satisfies Handlers;
