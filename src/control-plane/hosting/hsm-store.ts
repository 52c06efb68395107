import { join } from 'node:path';
import { commandFailure } from '../../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../../base/files.js';
import { randomBytes } from '../../crypto/index.js';
import { openLmdbStore } from '../../store/lmdb-store.js';
import type { RecordStore } from '../../store/record-store.js';
import { SEALING_KEY_BYTES, sealedStore } from '../../store/sealing.js';

/** An HSM's store: LMDB under the sealing layer. The sealing key stands in for the one that is fused into an HSM: without it
 * there is no reading what the HSM kept. Throws CORRUPT_STORE. */
export function openHsmStore(hsmsDirectory: string, hsmId: string): RecordStore {
  const directory = join(hsmsDirectory, hsmId);
  const keyFile = join(directory, 'sealing.key');
  const key = readFileIfPresent(keyFile);
  if (key?.length !== SEALING_KEY_BYTES) {
    const state =
      key === undefined ? 'is missing' : `has ${key.length} bytes instead of ${SEALING_KEY_BYTES}`;
    throw commandFailure(
      'CORRUPT_STORE',
      `${keyFile} ${state}: the keys of ${hsmId} cannot be read without it`,
    );
  }
  const store = sealedStore(openLmdbStore(join(directory, 'store')), key, hsmId);
  key.fill(0);
  return store;
}

/** The store of an HSM that has not been there. */
export function newHsmStore(hsmsDirectory: string, hsmId: string): RecordStore {
  const sealingKey = randomBytes(SEALING_KEY_BYTES);
  writePrivateFile(join(hsmsDirectory, hsmId, 'sealing.key'), sealingKey);
  sealingKey.fill(0);
  return openHsmStore(hsmsDirectory, hsmId);
}
