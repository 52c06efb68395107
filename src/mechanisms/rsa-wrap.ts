import { andThen, type Eventually } from '../base/eventually.js';
import {
  aesKeyUnwrap,
  aesKeyWrap,
  CryptoError,
  hashLengthBytes,
  importSecretKey,
  type RsaEncryptionPadding,
  randomBytes,
  rsaDecrypt,
  rsaEncrypt,
  type SecretKey,
  semiblockBytes,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import {
  badParameter,
  type CipherMechanism,
  type KeyShape,
  type MechanismParameter,
  structParameter,
  type WrapMechanism,
} from './mechanism.js';
import { modulusBytes, nativeRsa, oaepPadding } from './rsa-padding.js';

function requireWrappedBytes(wrapped: Buffer, key: KeyShape, leastBytes: number, mostBytes: number): void {
  if (wrapped.length >= leastBytes && wrapped.length <= mostBytes) return;
  throw ckr('CKR_WRAPPED_KEY_LEN_RANGE', `${wrapped.length} bytes are no key wrapped with RSA-${key.bits}`);
}

/** RSA encryption of a key's bytes. "OAEP: k−2h−2: secret keys only" (reference section 9.6). */
export function cipherAsWrap(cipher: CipherMechanism): WrapMechanism {
  return {
    keyTypes: cipher.keyTypes,
    targets: 'secret',
    check: (parameter, key, direction) =>
      cipher.check(parameter, key, direction === 'wrap' ? 'encrypt' : 'decrypt'),
    wrappedBytes: (key, parameter, lengthBytes) => {
      const mostBytes = cipher.maxOutputBytes('decrypt', modulusBytes(key), parameter, key);
      if (lengthBytes > mostBytes) {
        throw ckr('CKR_KEY_SIZE_RANGE', `a key of ${lengthBytes} bytes where at most ${mostBytes} fit`);
      }
      return modulusBytes(key);
    },
    wrap: (key, parameter, keyBytes) =>
      andThen(cipher.encrypt(key, parameter, keyBytes), (wrapped) => ({ wrapped })),
    unwrap: (key, parameter, wrapped) => {
      requireWrappedBytes(wrapped, key, modulusBytes(key), modulusBytes(key));
      return cipher.decrypt(key, parameter, wrapped);
    },
  };
}

interface RsaAes {
  readonly aesKeyBytes: number;
  readonly padding: RsaEncryptionPadding & { scheme: 'oaep' };
}

function rsaAesOf(parameter: MechanismParameter, key: KeyShape): RsaAes {
  const { ulAESKeyBits, pOAEPParams } = structParameter(parameter, 'CK_RSA_AES_KEY_WRAP_PARAMS');
  if (![128, 192, 256].includes(ulAESKeyBits)) throw badParameter(`an AES key of ${ulAESKeyBits} bits`);
  const padding = oaepPadding(pOAEPParams);
  const aesKeyBytes = ulAESKeyBits / 8;
  if (aesKeyBytes > modulusBytes(key) - 2 * hashLengthBytes[padding.hash] - 2)
    throw badParameter('the AES key does not fit the RSA key');
  return { aesKeyBytes, padding };
}

/** Works with a temporary key that is gone afterwards; `bytes` are cleansed. */
function withTemporaryKey<T>(bytes: Buffer, work: (key: SecretKey) => T): T {
  const temporary = importSecretKey(bytes);
  try {
    return work(temporary);
  } finally {
    temporary.destroy();
    bytes.fill(0);
  }
}

/**
 * CKM_RSA_AES_KEY_WRAP: the key under a temporary AES key with KWP, behind that AES key under RSA-OAEP (v2.40 mechanisms,
 * section 2.1.21; "32-byte AES target gives k+40", reference section 9.6).
 */
export const rsaAesKeyWrap: WrapMechanism = {
  keyTypes: [CKK.CKK_RSA],
  targets: 'any',
  check: (parameter, key) => void rsaAesOf(parameter, key),
  wrappedBytes: (key, _parameter, lengthBytes) =>
    modulusBytes(key) + Math.ceil(lengthBytes / semiblockBytes) * semiblockBytes + semiblockBytes,
  wrap: (key, parameter, keyBytes) => {
    const { aesKeyBytes, padding } = rsaAesOf(parameter, key);
    const temporary = randomBytes(aesKeyBytes);
    const encrypted = rsaEncrypt(nativeRsa(key), padding, temporary);
    const wrapped = withTemporaryKey(temporary, (aes) => aesKeyWrap('KWP', aes, keyBytes));
    return { wrapped: Buffer.concat([encrypted, wrapped]) };
  },
  unwrap: (key, parameter, wrapped): Eventually<Buffer> => {
    const { aesKeyBytes, padding } = rsaAesOf(parameter, key);
    const encryptedBytes = modulusBytes(key);
    requireWrappedBytes(wrapped, key, encryptedBytes + 2 * semiblockBytes, Number.MAX_SAFE_INTEGER);
    const rest = wrapped.subarray(encryptedBytes);
    return andThen(rsaDecrypt(nativeRsa(key), padding, wrapped.subarray(0, encryptedBytes)), (temporary) => {
      if (temporary.length !== aesKeyBytes) {
        temporary.fill(0);
        throw new CryptoError('DECRYPTION_FAILED', 'the temporary key has another length');
      }
      return withTemporaryKey(temporary, (aes) => aesKeyUnwrap('KWP', aes, rest));
    });
  },
};
