import type { NativeCipher } from './block-ciphers.js';
import { type HashName, hashRow } from './hashes.js';
import { type AsymmetricKey, nativeKey, type SecretKey } from './keys.js';
import { native } from './native.js';

/**
 * An operation that the addon can run again and again without JavaScript (native/addon/repeatable.h). One on a key ends when that is
 * destroyed, or collected because nobody holds it any more, and then runs no more.
 */
export type Repeatable = object & { readonly repeatable: unique symbol };

/** A hash, as `digest` computes it. */
export const repeatableDigest = (hash: HashName): Repeatable => native.repeatableDigest(hashRow[hash]);

/** What verifies runs where the signature is right, and has no output. */
export type SignatureUse = 'sign' | 'verify';

/** HMAC, as `hmac` computes it. */
export const repeatableHmac = (hash: HashName, key: SecretKey, use: SignatureUse): Repeatable =>
  nativeKey(key).repeatableHmac(hashRow[hash], use === 'verify');

/** AES-CMAC, as `cmac` computes it. */
export const repeatableCmac = (key: SecretKey, use: SignatureUse): Repeatable =>
  nativeKey(key).repeatableCmac(use === 'verify');

/** AES-GCM, as `aesGcmEncrypt` and `aesGcmDecrypt` do it, each time under the IV that it is begun with, or, for encryption with
 * `makesIv`, under a random one of 12 bytes (SP 800-38D, section 8.2.2). */
export const repeatableAesGcm = (
  key: SecretKey,
  direction: 'encrypt' | 'decrypt',
  aad: Uint8Array,
  tagLengthBytes: number,
  makesIv: boolean,
): Repeatable => nativeKey(key).repeatableGcm(direction === 'encrypt', aad, tagLengthBytes, makesIv);

/** For repeatableAes and its like. */
export const repeatableWith = (
  { row }: NativeCipher,
  key: SecretKey,
  direction: 'encrypt' | 'decrypt',
  padding: boolean,
): Repeatable | undefined =>
  padding && direction === 'decrypt'
    ? undefined
    : nativeKey(key).repeatableCipher(row, direction === 'encrypt', padding);

/** ECDSA, as `ecdsaSign` and `ecdsaVerify` do it, of hashes up to a length. */
export const repeatableEcdsa = (
  key: AsymmetricKey,
  longestHashBytes: number,
  use: SignatureUse,
): Repeatable => nativeKey(key).repeatableEcdsa(longestHashBytes, use === 'verify');

/** The same on a hash of what it is given, with something in front of it. */
export const repeatableHashed = (work: Repeatable, hash: HashName, prefix: Uint8Array): Repeatable =>
  native.repeatableHashed(work, hashRow[hash], prefix);
