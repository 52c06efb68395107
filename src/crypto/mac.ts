import { type HashName, hashLengthBytes, hashRow } from './hashes.js';
import { nativeKey, type SecretKey } from './keys.js';
import { outputBuffer } from './native.js';

const cmacLengthBytes = 16;

/**
 * HMAC (FIPS 198-1); the result has `hashLengthBytes[hash]` bytes.
 * @throws CryptoError INVALID_KEY
 */
export function hmac(hash: HashName, key: SecretKey, data: Uint8Array): Buffer {
  const output = outputBuffer(hashLengthBytes[hash]);
  nativeKey(key).hmac(hashRow[hash], data, output);
  return output;
}

/**
 * AES-CMAC (SP 800-38B); the result has 16 bytes.
 * @throws CryptoError INVALID_KEY unless the key has 16, 24 or 32 bytes
 */
export function cmac(key: SecretKey, data: Uint8Array): Buffer {
  const output = outputBuffer(cmacLengthBytes);
  nativeKey(key).cmac(data, output);
  return output;
}
