import { type Eventually, orElse } from '../../base/eventually.js';
import { CryptoError } from '../../crypto/index.js';
import type { KeyShape } from '../../mechanisms/mechanism.js';
import { boolAttribute, isTokenObject } from '../../objects/hsm-object.js';
import { attributeName, CKA } from '../../pkcs11/attributes.js';
import { type CkrName, ckr } from '../../pkcs11/ckr.js';
import { mechanismName } from '../../pkcs11/mechanisms.js';
import type { HsmSession } from '../hsm-session.js';
import type { LoadedObject } from '../loaded-object.js';
import type { KeyService } from '../quorum/services.js';
import type { Command } from './command.js';

interface UseRow {
  /** The attribute that allows it. */
  readonly attribute: number;
  /** Which half of a pair does it; secret keys do everything. */
  readonly half: 'Private' | 'Public';
  /** What answers for a handle that is no key, and for a key of another type, where the standard has codes of its own. */
  readonly noKey?: CkrName;
  readonly wrongType?: CkrName;
  /** Which approvals it takes of a key with a quorum (quorum/services.ts). */
  readonly service: KeyService;
}

/** THE row per thing that a key is asked to do. */
export const keyUseRows = {
  sign: { attribute: CKA.CKA_SIGN, half: 'Private', service: 'key-usage' },
  verify: { attribute: CKA.CKA_VERIFY, half: 'Public', service: 'key-usage' },
  encrypt: { attribute: CKA.CKA_ENCRYPT, half: 'Public', service: 'key-usage' },
  decrypt: { attribute: CKA.CKA_DECRYPT, half: 'Private', service: 'key-usage' },
  derive: { attribute: CKA.CKA_DERIVE, half: 'Private', service: 'key-usage' },
  wrap: {
    attribute: CKA.CKA_WRAP,
    half: 'Public',
    service: 'key-management',
    noKey: 'CKR_WRAPPING_KEY_HANDLE_INVALID',
    wrongType: 'CKR_WRAPPING_KEY_TYPE_INCONSISTENT',
  },
  unwrap: {
    attribute: CKA.CKA_UNWRAP,
    half: 'Private',
    service: 'key-management',
    noKey: 'CKR_UNWRAPPING_KEY_HANDLE_INVALID',
    wrongType: 'CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT',
  },
} as const satisfies Record<string, UseRow>;

export type KeyUse = keyof typeof keyUseRows;
export const keyUses = Object.keys(keyUseRows) as readonly KeyUse[];

/**
 * The key, if it may be used so with this mechanism: visible to the user, of a type the mechanism takes, and allowed
 * by its attribute. Throws CKR_KEY_HANDLE_INVALID and CKR_KEY_TYPE_INCONSISTENT, or the codes that the use has instead,
 * and CKR_KEY_FUNCTION_NOT_PERMITTED.
 */
export function keyFor(
  session: HsmSession,
  handle: number,
  use: KeyUse,
  mechanism: number,
  keyTypes: readonly number[],
): LoadedObject {
  const { attribute, half, noKey, wrongType }: UseRow = keyUseRows[use];
  const loaded = session.key(handle, noKey);
  const wrongHalf = loaded.kind.endsWith(half === 'Private' ? 'Public' : 'Private');
  if (!keyTypes.includes(loaded.key.keyType) || wrongHalf) {
    throw ckr(
      wrongType ?? 'CKR_KEY_TYPE_INCONSISTENT',
      `a key of kind ${loaded.kind} cannot ${use} with ${mechanismName(mechanism)}`,
    );
  }
  if (!boolAttribute(loaded.object, attribute)) {
    throw ckr('CKR_KEY_FUNCTION_NOT_PERMITTED', `key ${handle} has no ${attributeName(attribute)}`);
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
  KeyShape & {
    readonly token: boolean;
    /** Holds until the key is changed, or who is logged in: no approvals are counted for it. */
    readonly lasting: boolean;
  }
> = {
  login: 'CU',
  run: (session, { handle, use, mechanism, keyTypes }) => {
    const { key, object } = keyFor(session, handle, use, mechanism, keyTypes);
    const { keyType, bits, curve, algorithm } = key;
    const token = isTokenObject(object);
    const lasting = object.quorum === undefined;
    return { keyType, bits, token, lasting, ...(curve && { curve }), ...(algorithm && { algorithm }) };
  },
};
