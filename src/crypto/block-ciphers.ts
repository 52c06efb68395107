import { nativeKey, type SecretKey } from './keys.js';
import { native, outputBuffer } from './native.js';

/** A cipher in one mode of operation, as the addon knows it. */
export interface NativeCipher {
  /** Its place in enum CipherMode. */
  readonly row: number;
  /** What padding fills up to; 1 for a key stream, which is never padded. */
  readonly blockBytes: number;
}

/** For aesEncrypt and its like, which say what they throw. */
export function encryptWith(
  { row, blockBytes }: NativeCipher,
  key: SecretKey,
  iv: Uint8Array | undefined,
  plaintext: Uint8Array,
  padding: boolean,
): Buffer {
  const { length } = plaintext;
  const padded = padding && blockBytes > 1 ? length - (length % blockBytes) + blockBytes : length;
  const output = outputBuffer(padded);
  nativeKey(key).cipher(row, true, iv, plaintext, padding, output);
  return output;
}

/** For aesDecrypt and its like. */
export function decryptWith(
  { row }: NativeCipher,
  key: SecretKey,
  iv: Uint8Array | undefined,
  ciphertext: Uint8Array,
  padding: boolean,
): Buffer {
  const output = outputBuffer(ciphertext.length);
  const written = nativeKey(key).cipher(row, false, iv, ciphertext, padding, output);
  return written === output.length ? output : output.subarray(0, written);
}

/** For aesZeroBlock and its like. */
export function zeroBlockUnder({ row, blockBytes }: NativeCipher, key: Uint8Array): Buffer {
  const output = outputBuffer(blockBytes);
  native.encryptZeros(row, key, output);
  return output;
}
