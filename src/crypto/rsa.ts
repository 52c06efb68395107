import type { Eventually } from '../base/eventually.js';
import { type HashName, hashRow } from './hashes.js';
import { type AsymmetricKey, nativeKey } from './keys.js';
import type { Repeatable, SignatureUse } from './repeatable.js';

// RFC 8017. The modulus has k bytes.

export type RsaSignaturePadding =
  /** PKCS#1 v1.5 block type 1 around the input, which is the whole DigestInfo (at most k - 11 bytes). */
  | { scheme: 'pkcs1' }
  /** The input is k bytes, a number below the modulus. */
  | { scheme: 'none' }
  /** The input is a hash value. */
  | { scheme: 'pss'; hash: HashName; mgfHash: HashName; saltLengthBytes: number };

export type RsaEncryptionPadding =
  | { scheme: 'pkcs1' }
  | { scheme: 'none' }
  | { scheme: 'oaep'; hash: HashName; mgfHash: HashName; label: Uint8Array };

// Numbered as enum Scheme of rsa.cc.
const schemes = { pkcs1: 0, none: 1, pss: 2, oaep: 3 } as const;
const noBytes = new Uint8Array();

/** What the addon's methods take first. */
function nativePadding(
  padding: RsaSignaturePadding,
): [scheme: number, hash: number, mgfHash: number, saltLengthBytes: number] {
  if (padding.scheme !== 'pss') return [schemes[padding.scheme], 0, 0, 0];
  const { hash, mgfHash, saltLengthBytes } = padding;
  return [schemes.pss, hashRow[hash], hashRow[mgfHash], saltLengthBytes];
}

/**
 * Signs on a native thread; the signature has k bytes.
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH when the input does not fit; UNSUPPORTED when the key is too
 * short for hash and salt
 */
export function rsaSign(
  key: AsymmetricKey,
  padding: RsaSignaturePadding,
  input: Uint8Array,
): Eventually<Buffer> {
  return nativeKey(key).rsaSign(...nativePadding(padding), input);
}

/** The same, or what rsaVerify does, again and again. */
export const repeatableRsa = (
  key: AsymmetricKey,
  padding: RsaSignaturePadding,
  use: SignatureUse,
): Repeatable => nativeKey(key).repeatableRsa(...nativePadding(padding), use === 'verify');

/**
 * Whether `signature` is one of `input` by this key, public or private. A signature of the wrong length is
 * not valid.
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH and UNSUPPORTED as rsaSign does
 */
export function rsaVerify(
  key: AsymmetricKey,
  padding: RsaSignaturePadding,
  input: Uint8Array,
  signature: Uint8Array,
): boolean {
  return nativeKey(key).rsaVerify(...nativePadding(padding), input, signature);
}

/**
 * Encrypts under a public key or the public part of a private key; the ciphertext has k bytes.
 * @param plaintext at most k - 11 bytes (pkcs1), k - 2 hash lengths - 2 bytes (oaep), exactly k bytes and
 * below the modulus (none)
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH
 */
export function rsaEncrypt(key: AsymmetricKey, padding: RsaEncryptionPadding, plaintext: Uint8Array): Buffer {
  const native = nativeKey(key);
  if (padding.scheme !== 'oaep') return native.rsaEncrypt(schemes[padding.scheme], 0, 0, noBytes, plaintext);
  const { hash, mgfHash, label } = padding;
  return native.rsaEncrypt(schemes.oaep, hashRow[hash], hashRow[mgfHash], label, plaintext);
}

/**
 * Decrypts on a native thread.
 * @param ciphertext k bytes
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH; DECRYPTION_FAILED. From OpenSSL 3.2 on, broken PKCS#1 v1.5
 * padding gives random plaintext in place of an error (implicit rejection).
 */
export function rsaDecrypt(
  key: AsymmetricKey,
  padding: RsaEncryptionPadding,
  ciphertext: Uint8Array,
): Eventually<Buffer> {
  const native = nativeKey(key);
  if (padding.scheme !== 'oaep') return native.rsaDecrypt(schemes[padding.scheme], 0, 0, noBytes, ciphertext);
  const { hash, mgfHash, label } = padding;
  return native.rsaDecrypt(schemes.oaep, hashRow[hash], hashRow[mgfHash], label, ciphertext);
}
