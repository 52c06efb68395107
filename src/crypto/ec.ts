import type { Eventually } from '../base/eventually.js';
import { type AsymmetricKey, nativeKey } from './keys.js';

// P-256 runs on this thread, the slower curves on native threads (table in native/addon/crypto/curves.cc).

/**
 * ECDSA (FIPS 186-4 section 6.4).
 * @param digest of any length; its leftmost bits are used when it is longer than the order
 * @returns r || s, each as long as the order
 * @throws CryptoError INVALID_KEY
 */
export function ecdsaSign(key: AsymmetricKey, digest: Uint8Array): Eventually<Buffer> {
  return nativeKey(key).ecdsaSign(digest);
}

/**
 * Whether r || s is a signature of `digest` by this key, public or private. Other lengths are not valid.
 * @throws CryptoError INVALID_KEY
 */
export function ecdsaVerify(
  key: AsymmetricKey,
  digest: Uint8Array,
  signature: Uint8Array,
): Eventually<boolean> {
  return nativeKey(key).ecdsaVerify(digest, signature);
}

/**
 * ECDH (SP 800-56A section 5.7.1.2; the cofactor of every curve is 1).
 * @param peerPoint 04 || X || Y, or compressed
 * @returns the x coordinate of the shared point, as long as a field element
 * @throws CryptoError INVALID_KEY; INVALID_POINT
 */
export function ecdhDerive(key: AsymmetricKey, peerPoint: Uint8Array): Eventually<Buffer> {
  return nativeKey(key).ecdhDerive(peerPoint);
}
