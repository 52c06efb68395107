import { native, outputBuffer } from './native.js';

/**
 * Bytes from OpenSSL's random generator (SP 800-90A CTR_DRBG).
 * @throws CryptoError INPUT_LENGTH unless 0 <= lengthBytes < 2^31
 */
export function randomBytes(lengthBytes: number): Buffer {
  const output = outputBuffer(lengthBytes);
  native.randomFill(output);
  return output;
}
