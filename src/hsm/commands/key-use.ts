import { type Eventually, orElse } from '../../base/eventually.js';
import { CryptoError } from '../../crypto/index.js';
import type { KeyShape } from '../../mechanisms/mechanism.js';
import { boolAttribute } from '../../objects/hsm-object.js';
import { attributeName, CKA } from '../../pkcs11/attributes.js';
import { type CkrName, ckr } from '../../pkcs11/ckr.js';
import { mechanismName } from '../../pkcs11/mechanisms.js';
import type { HsmSession } from '../hsm-session.js';
import type { LoadedObject } from '../loaded-object.js';
import type { Command } from './command.js';

/** What a key is asked to do, the attribute that allows it, and the class of key that can. */
const uses = {
  sign: CKA.CKA_SIGN,
  verify: CKA.CKA_VERIFY,
  encrypt: CKA.CKA_ENCRYPT,
  decrypt: CKA.CKA_DECRYPT,
  derive: CKA.CKA_DERIVE,
} as const;

export type KeyUse = keyof typeof uses;
export const keyUses = Object.keys(uses) as readonly KeyUse[];

/** Which half of a pair does what; secret keys do everything. */
const halfOf: { readonly [Use in KeyUse]: 'Private' | 'Public' } = {
  sign: 'Private',
  decrypt: 'Private',
  verify: 'Public',
  encrypt: 'Public',
  derive: 'Private',
};

/**
 * The key, if it may be used so with this mechanism: visible to the user, of a type the mechanism takes, and allowed
 * by its attribute. Throws CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED.
 */
export function keyFor(
  session: HsmSession,
  handle: number,
  use: KeyUse,
  mechanism: number,
  keyTypes: readonly number[],
): LoadedObject {
  const loaded = session.key(handle);
  const wrongHalf = loaded.kind.endsWith(halfOf[use] === 'Private' ? 'Public' : 'Private');
  if (!keyTypes.includes(loaded.key.keyType) || wrongHalf) {
    throw ckr(
      'CKR_KEY_TYPE_INCONSISTENT',
      `a key of kind ${loaded.kind} cannot ${use} with ${mechanismName(mechanism)}`,
    );
  }
  if (!boolAttribute(loaded.object, uses[use])) {
    throw ckr('CKR_KEY_FUNCTION_NOT_PERMITTED', `key ${handle} has no ${attributeName(uses[use])}`);
  }
  return loaded;
}

/** Runs work on a key and turns the crypto library's refusals into PKCS#11's; `refused` is for those that the data
 * caused. A key destroyed meanwhile is a handle that is no longer valid. */
export function withCkr<T>(loaded: LoadedObject, refused: CkrName, work: () => Eventually<T>): Eventually<T> {
  return orElse(work, (error) => {
    if (!(error instanceof CryptoError)) throw error;
    if (loaded.gone) throw ckr('CKR_KEY_HANDLE_INVALID', 'the key was destroyed meanwhile', error);
    throw ckr(
      error.code === 'OPERATION_FAILED' ? 'CKR_FUNCTION_FAILED' : refused,
      'the HSM could not do it',
      error,
    );
  });
}

/** What Init asks for: whether the key may be used so, and its shape, from which all sizes follow. */
export const describeKey: Command<
  { handle: number; use: KeyUse; mechanism: number; keyTypes: readonly number[] },
  KeyShape
> = {
  login: 'CU',
  run: (session, { handle, use, mechanism, keyTypes }) => {
    const { keyType, bits, curve, algorithm } = keyFor(session, handle, use, mechanism, keyTypes).key;
    return { keyType, bits, ...(curve && { curve }), ...(algorithm && { algorithm }) };
  },
};
