import { decryptWith, encryptWith, type NativeCipher, zeroBlockUnder } from './block-ciphers.js';
import { CryptoError } from './errors.js';
import { nativeKey, type SecretKey } from './keys.js';
import { outputBuffer } from './native.js';
import { type Repeatable, repeatableWith } from './repeatable.js';

/** The modes of SP 800-38A. */
export type AesMode = 'ecb' | 'cbc' | 'ctr';

const cipherOf: Record<AesMode, NativeCipher> = {
  ecb: { row: 0, blockBytes: 16 },
  cbc: { row: 1, blockBytes: 16 },
  ctr: { row: 2, blockBytes: 1 },
};
const maximumTagBytes = 16;

/**
 * Encrypts with AES.
 * @param iv 16 bytes for cbc; for ctr the first counter block, counting modulo 2^128; none for ecb
 * @param padding PKCS#7 (ecb and cbc; ctr never pads)
 * @throws CryptoError INVALID_KEY unless the key has 16, 24 or 32 bytes; INPUT_LENGTH for a wrong IV length
 * and for input that is not whole blocks without padding
 */
export function aesEncrypt(
  key: SecretKey,
  mode: AesMode,
  iv: Uint8Array | undefined,
  plaintext: Uint8Array,
  padding: boolean,
): Buffer {
  return encryptWith(cipherOf[mode], key, iv, plaintext, padding);
}

/**
 * Undoes aesEncrypt.
 * @throws CryptoError DECRYPTION_FAILED when the padding is not valid; INVALID_KEY and INPUT_LENGTH as
 * aesEncrypt does
 */
export function aesDecrypt(
  key: SecretKey,
  mode: AesMode,
  iv: Uint8Array | undefined,
  ciphertext: Uint8Array,
  padding: boolean,
): Buffer {
  return decryptWith(cipherOf[mode], key, iv, ciphertext, padding);
}

/** ECB or CBC, as aesEncrypt and aesDecrypt do them; undefined for decryption that removes a padding, whose output is as long as
 * that says. */
export const repeatableAes = (
  key: SecretKey,
  mode: 'ecb' | 'cbc',
  direction: 'encrypt' | 'decrypt',
  padding: boolean,
): Repeatable | undefined => repeatableWith(cipherOf[mode], key, direction, padding);

/** A block of zeros under a key of these bytes, as check values are made of it. Throws CryptoError INVALID_KEY. */
export const aesZeroBlock = (key: Uint8Array): Buffer => zeroBlockUnder(cipherOf.ecb, key);

/**
 * AES-GCM (SP 800-38D).
 * @param iv at least 1 byte
 * @param tagLengthBytes 1 to 16
 * @returns ciphertext || tag
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH for an empty IV; UNSUPPORTED for another tag length
 */
export function aesGcmEncrypt(
  key: SecretKey,
  iv: Uint8Array,
  aad: Uint8Array,
  tagLengthBytes: number,
  plaintext: Uint8Array,
): Buffer {
  checkTagLength(tagLengthBytes);
  const output = outputBuffer(plaintext.length + tagLengthBytes);
  nativeKey(key).gcmEncrypt(iv, aad, tagLengthBytes, plaintext, output);
  return output;
}

/** What `aesGcmSeal` adds: an IV of 12 bytes and a tag of 16. */
export const SEAL_BYTES = 12 + 16;

/**
 * Encrypts with AES-GCM under a random IV (SP 800-38D section 8.2.2), into the first bytes of `output`: IV || ciphertext || tag.
 * @throws CryptoError INVALID_KEY; INPUT_LENGTH for an output that has not `SEAL_BYTES` more than the plaintext
 */
export function aesGcmSeal(key: SecretKey, aad: Uint8Array, plaintext: Uint8Array, output: Uint8Array): void {
  nativeKey(key).gcmSeal(aad, plaintext, output);
}

/**
 * Undoes aesGcmEncrypt; gives nothing away before the tag is checked.
 * @throws CryptoError AUTHENTICATION_FAILED; INPUT_LENGTH when the input is shorter than the tag; else as
 * aesGcmEncrypt does
 */
export function aesGcmDecrypt(
  key: SecretKey,
  iv: Uint8Array,
  aad: Uint8Array,
  tagLengthBytes: number,
  ciphertextAndTag: Uint8Array,
): Buffer {
  checkTagLength(tagLengthBytes);
  const length = ciphertextAndTag.length - tagLengthBytes;
  if (length < 0) throw new CryptoError('INPUT_LENGTH', 'the input is shorter than the tag');
  const output = outputBuffer(length);
  nativeKey(key).gcmDecrypt(iv, aad, tagLengthBytes, ciphertextAndTag, output);
  return output;
}

function checkTagLength(lengthBytes: number): void {
  if (Number.isInteger(lengthBytes) && lengthBytes >= 1 && lengthBytes <= maximumTagBytes) return;
  throw new CryptoError('UNSUPPORTED', 'a GCM tag has 1 to 16 bytes');
}
