import { decryptWith, encryptWith, type NativeCipher, zeroBlockUnder } from './block-ciphers.js';
import type { SecretKey } from './keys.js';

/** The modes of SP 800-38A that CloudHSM has for Triple DES. */
export type Des3Mode = 'ecb' | 'cbc';

const cipherOf: Record<Des3Mode, NativeCipher> = {
  ecb: { row: 4, blockBytes: 8 },
  cbc: { row: 5, blockBytes: 8 },
};

/**
 * Encrypts with Triple DES (SP 800-67).
 * @param iv 8 bytes for cbc; none for ecb
 * @param padding PKCS#7
 * @throws CryptoError INVALID_KEY unless the key has 24 bytes; INPUT_LENGTH for a wrong IV length and for input that is
 * not whole blocks without padding
 */
export function des3Encrypt(
  key: SecretKey,
  mode: Des3Mode,
  iv: Uint8Array | undefined,
  plaintext: Uint8Array,
  padding: boolean,
): Buffer {
  return encryptWith(cipherOf[mode], key, iv, plaintext, padding);
}

/**
 * Undoes des3Encrypt.
 * @throws CryptoError DECRYPTION_FAILED when the padding is not valid; INVALID_KEY and INPUT_LENGTH as des3Encrypt does
 */
export function des3Decrypt(
  key: SecretKey,
  mode: Des3Mode,
  iv: Uint8Array | undefined,
  ciphertext: Uint8Array,
  padding: boolean,
): Buffer {
  return decryptWith(cipherOf[mode], key, iv, ciphertext, padding);
}

/** As aesZeroBlock. */
export const des3ZeroBlock = (key: Uint8Array): Buffer => zeroBlockUnder(cipherOf.ecb, key);
