import { CryptoError } from './errors.js';
import { nativeKey, type SecretKey } from './keys.js';
import { outputBuffer } from './native.js';

/** The modes of SP 800-38A. */
export type AesMode = 'ecb' | 'cbc' | 'ctr';

// Numbered as enum CipherMode of the addon.
const modeRow: Record<AesMode, number> = { ecb: 0, cbc: 1, ctr: 2 };
const blockBytes = 16;

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
  const length = plaintext.length;
  const padded = padding && mode !== 'ctr' ? length - (length % blockBytes) + blockBytes : length;
  const output = outputBuffer(padded);
  nativeKey(key).cipher(modeRow[mode], true, iv, plaintext, padding, output);
  return output;
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
  const output = outputBuffer(ciphertext.length);
  const written = nativeKey(key).cipher(modeRow[mode], false, iv, ciphertext, padding, output);
  return written === output.length ? output : output.subarray(0, written);
}

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
  if (Number.isInteger(lengthBytes) && lengthBytes >= 1 && lengthBytes <= blockBytes) return;
  throw new CryptoError('UNSUPPORTED', 'a GCM tag has 1 to 16 bytes');
}
