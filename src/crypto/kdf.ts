import { andThen, type Eventually } from '../base/eventually.js';
import { ecdhDerive } from './ec.js';
import { digest, type HashName } from './hashes.js';
import type { AsymmetricKey } from './keys.js';

/** The first `lengthBytes` of block(1) ‖ block(2) ‖ …, each block in 32 bits or fewer of counter. Blocks are cleansed. */
function concatenated(lengthBytes: number, block: (counter: number) => Buffer): Buffer {
  const output = Buffer.alloc(lengthBytes);
  for (let at = 0, counter = 1; at < lengthBytes; counter++) {
    const bytes = block(counter);
    at += bytes.copy(output, at);
    bytes.fill(0);
  }
  return output;
}

/**
 * The KDF of ANSI X9.63 (SEC 1, section 3.6.1): Hash(secret ‖ counter ‖ sharedInfo), the counter in 32 bits from 1. It is
 * the one-step KDF of SP 800-56C with the counter behind the secret.
 */
export function x963Kdf(
  hash: HashName,
  secret: Uint8Array,
  sharedInfo: Uint8Array,
  lengthBytes: number,
): Buffer {
  const input = Buffer.concat([secret, Buffer.alloc(4), sharedInfo]);
  const derived = concatenated(lengthBytes, (counter) => {
    input.writeUInt32BE(counter, secret.length);
    return digest(hash, input);
  });
  input.fill(0);
  return derived;
}

/**
 * ECDH and the KDF of ANSI X9.63 in one: the shared secret does not come out.
 * @param peerPoint 04 ‖ X ‖ Y
 * @throws CryptoError INVALID_KEY; INVALID_POINT
 */
export function ecdhX963(
  key: AsymmetricKey,
  peerPoint: Uint8Array,
  hash: HashName,
  sharedInfo: Uint8Array,
  lengthBytes: number,
): Eventually<Buffer> {
  return andThen(ecdhDerive(key, peerPoint), (secret) => {
    const derived = x963Kdf(hash, secret, sharedInfo, lengthBytes);
    secret.fill(0);
    return derived;
  });
}

/**
 * The KDF in counter mode of SP 800-108r1, section 4.1: PRF(input(1)) ‖ PRF(input(2)) ‖ ….
 * @param input what the PRF gets in round i, counter included
 */
export function counterKdf(
  prf: (input: Buffer) => Buffer,
  input: (counter: number) => Buffer,
  lengthBytes: number,
): Buffer {
  return concatenated(lengthBytes, (counter) => prf(input(counter)));
}
