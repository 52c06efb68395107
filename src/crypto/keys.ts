import type { CurveName } from './curves.js';
import { type NativeAsymmetricKey, type NativeSecretKey, native } from './native.js';

/**
 * A parsed RSA or EC key, ready for use. The addon holds it; its private numbers are cleansed on `destroy`
 * and when the object is garbage collected. Operations that are already running finish undisturbed by
 * `destroy`; later ones throw CryptoError INVALID_KEY.
 */
export interface AsymmetricKey {
  readonly type: 'rsa' | 'ec';
  readonly isPrivate: boolean;
  /** Bits of the modulus or of the field. */
  readonly bits: number;
  readonly curve?: CurveName;
  destroy(): void;
}

/**
 * The bytes of a secret key with the cipher and MAC states made from them; cleansed like an AsymmetricKey.
 */
export interface SecretKey {
  readonly lengthBytes: number;
  destroy(): void;
}

/**
 * Parses a DER PrivateKeyInfo (RFC 5208) of an RSA or EC key. That the numbers belong together is not checked
 * here: `rsaPrivateKeyInfo` and `ecPrivateComponents` do that when a key comes in from outside.
 * @throws CryptoError INVALID_KEY, INVALID_POINT, or UNSUPPORTED for other algorithms and curves
 */
export function importPrivateKey(pkcs8: Uint8Array): AsymmetricKey {
  return new native.AsymmetricKey(pkcs8, true) as AsymmetricKey;
}

/**
 * Parses a DER SubjectPublicKeyInfo (RFC 5280) of an RSA or EC key.
 * @throws CryptoError INVALID_KEY, INVALID_POINT, or UNSUPPORTED for other algorithms and curves
 */
export function importPublicKey(spki: Uint8Array): AsymmetricKey {
  return new native.AsymmetricKey(spki, false) as AsymmetricKey;
}

/**
 * Copies the bytes of a secret key into the addon.
 * @param bytes at least one; AES needs 16, 24 or 32 and refuses others when used
 * @throws CryptoError INVALID_KEY when empty
 */
export function importSecretKey(bytes: Uint8Array): SecretKey {
  return new native.SecretKey(bytes);
}

/** The addon's view of a key, for the other files of this room. */
export function nativeKey(key: AsymmetricKey): NativeAsymmetricKey;
export function nativeKey(key: SecretKey): NativeSecretKey;
export function nativeKey(key: unknown): unknown {
  return key;
}
