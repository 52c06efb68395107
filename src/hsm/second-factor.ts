import { CryptoError, digest, importPublicKey, rsaVerify } from '../crypto/index.js';
import { hashRows } from '../mechanisms/hashes.js';
import { ckr } from '../pkcs11/ckr.js';

/*
 * The key that a user registers, for the second factor of logins and for approving what a quorum decides: "RSA-2048, SHA256withRSA
 * PKCS#1 v1.5" (reference management-tools, section 1.4).
 */

const MODULUS_BITS = 2048;
export const CHALLENGE_BYTES = 32;
export const SIGNATURE_BYTES = MODULUS_BITS / 8;
/** "token file of any bytes ≤ 245" (section 4.5). */
export const REGISTRATION_TOKEN_BYTES = 245;

const { digestInfoPrefix } = hashRows.find(({ hash }) => hash === 'sha256')!;

/** A public key as it is registered: the DER of its SubjectPublicKeyInfo. Throws CKR_ARGUMENTS_BAD. */
export function requirePublicKey(spki: Buffer): Buffer {
  try {
    const key = importPublicKey(spki);
    const fits = key.type === 'rsa' && key.bits === MODULUS_BITS;
    key.destroy();
    if (fits) return spki;
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
  }
  throw ckr('CKR_ARGUMENTS_BAD', `the public key to register is no RSA key of ${MODULUS_BITS} bits`);
}

/** Whether `signature` is one of a value that is a SHA-256 already: a challenge, which "is not hashed again". */
export function signsDigest(spki: Buffer, sha256: Buffer, signature: Buffer): boolean {
  if (signature.length !== SIGNATURE_BYTES || sha256.length !== CHALLENGE_BYTES) return false;
  const key = importPublicKey(spki);
  const valid = rsaVerify(key, { scheme: 'pkcs1' }, Buffer.concat([digestInfoPrefix, sha256]), signature);
  key.destroy();
  return valid;
}

/** Whether it is one of some data, "hashed once": a file that was signed, or the tools' SHA-256 of it. */
export function signsData(spki: Buffer, data: Buffer, signature: Buffer): boolean {
  return signsDigest(spki, digest('sha256', data), signature);
}
