import { nativeKey, type SecretKey } from './keys.js';
import { outputBuffer } from './native.js';

/** The modes of SP 800-38F: KW (RFC 3394) and KWP (RFC 5649), with their default integrity check values. */
export type KeyWrapMode = 'KW' | 'KWP';

/** RFC 3394: what KW and KWP count in, and what they add. */
export const semiblockBytes = 8;

function run(mode: KeyWrapMode, encrypt: boolean, key: SecretKey, input: Uint8Array): Buffer {
  const room = outputBuffer(input.length + 2 * semiblockBytes);
  const written = nativeKey(key).wrap(mode === 'KWP', encrypt, input, room);
  const output = Buffer.from(room.subarray(0, written));
  room.fill(0);
  return output;
}

/**
 * Wraps the bytes of a key.
 * @param plaintext KW: whole semiblocks, two at least; KWP: at least one byte
 * @throws CryptoError INPUT_LENGTH for others; INVALID_KEY unless `key` has 16, 24 or 32 bytes
 */
export function aesKeyWrap(mode: KeyWrapMode, key: SecretKey, plaintext: Uint8Array): Buffer {
  return run(mode, true, key, plaintext);
}

/**
 * Undoes aesKeyWrap. Cleanse the result when done.
 * @throws CryptoError AUTHENTICATION_FAILED; INPUT_LENGTH and INVALID_KEY as aesKeyWrap does
 */
export function aesKeyUnwrap(mode: KeyWrapMode, key: SecretKey, wrapped: Uint8Array): Buffer {
  return run(mode, false, key, wrapped);
}

/** aesKeyWrap on a native thread: 64 KiB take 10 ms. */
export function aesKeyWrapLater(mode: KeyWrapMode, key: SecretKey, plaintext: Uint8Array): Promise<Buffer> {
  return nativeKey(key).wrapLater(mode === 'KWP', true, plaintext);
}

/** aesKeyUnwrap on a native thread; errors of lengths and keys are thrown, others reject. */
export function aesKeyUnwrapLater(mode: KeyWrapMode, key: SecretKey, wrapped: Uint8Array): Promise<Buffer> {
  return nativeKey(key).wrapLater(mode === 'KWP', false, wrapped);
}
