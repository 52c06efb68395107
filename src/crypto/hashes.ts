import { createHash, type Hash } from 'node:crypto';
import type { Eventually } from '../base/eventually.js';
import { CryptoError } from './errors.js';
import { native, outputBuffer } from './native.js';

/** The hashes of FIPS 180-4 that CloudHSM knows. */
export type HashName = 'sha1' | 'sha224' | 'sha256' | 'sha384' | 'sha512';

/** Length of each hash value in bytes (FIPS 180-4, figure 1). */
export const hashLengthBytes: Record<HashName, number> = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
};

/** Length of the block each hash works on, in bytes (FIPS 180-4, figure 1); HMAC pads keys to it. */
export const blockLengthBytes: Record<HashName, number> = {
  sha1: 64,
  sha224: 64,
  sha256: 64,
  sha384: 128,
  sha512: 128,
};

/** The addon's row number of each hash. */
export const hashRow = Object.fromEntries(native.hashNames.map((name, row) => [name, row])) as Record<
  HashName,
  number
>;

/** Hashes `data` in one go; the result has `hashLengthBytes[hash]` bytes. */
export function digest(hash: HashName, data: Uint8Array): Buffer {
  const output = outputBuffer(hashLengthBytes[hash]);
  native.digest(hashRow[hash], data, output);
  return output;
}

/** So much takes longer than handing it to another thread does. */
export const LONG_DIGEST_BYTES = 256 * 1024;

/** As `digest`; on a native thread where that takes long. Nobody may write to `data` until then. */
export function digestAnywhere(hash: HashName, data: Uint8Array): Eventually<Buffer> {
  return data.length < LONG_DIGEST_BYTES ? digest(hash, data) : native.digestElsewhere(hashRow[hash], data);
}

/** A hash computed piece by piece. */
export interface RunningDigest {
  update(data: Uint8Array): void;
  /** The hash value; once only. */
  finish(): Buffer;
}

/** A hash is begun with the first piece: making the state costs more than hashing a short input in one go. */
class PiecewiseDigest implements RunningDigest {
  #state: Hash | undefined;
  #finished = false;

  constructor(private readonly hash: HashName) {}

  #running(): Hash {
    if (this.#finished) throw new CryptoError('OPERATION_FAILED', 'the digest is finished');
    this.#state ??= createHash(this.hash);
    return this.#state;
  }

  update(data: Uint8Array): void {
    this.#running().update(data);
  }

  finish(): Buffer {
    const value = this.#running().digest();
    this.#finished = true;
    return value;
  }
}

/** Starts a hash. Using it after `finish` throws CryptoError OPERATION_FAILED. */
export function createDigest(hash: HashName): RunningDigest {
  return new PiecewiseDigest(hash);
}
