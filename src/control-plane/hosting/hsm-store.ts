import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { commandFailure } from '../../base/errors.js';
import { makeFolder, moveWhole, readFileIfPresent, writePrivateFile } from '../../base/files.js';
import type { Log } from '../../base/log.js';
import { randomBytes } from '../../crypto/index.js';
import { openLmdbStore } from '../../store/lmdb-store.js';
import type { RecordStore } from '../../store/record-store.js';
import { SEALING_KEY_BYTES, sealedStore } from '../../store/sealing.js';

/** Where HSMs keep what they have. */
export interface HsmFolders {
  /** A folder per HSM. */
  readonly directory: string;
  /** Where the folders go of HSMs that have failed. */
  readonly failedDirectory: string;
}

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

/** Takes away, or sets aside, what an HSM has kept that does not run any more. */
export function takeAwayStore(
  { directory, failedDirectory }: HsmFolders,
  hsmId: string,
  setsAside: boolean,
  log: Log,
): void {
  const kept = join(directory, hsmId);
  if (!setsAside || !existsSync(kept)) {
    rmSync(kept, { recursive: true, force: true });
    return;
  }
  const aside = join(failedDirectory, hsmId);
  makeFolder(failedDirectory, 0o700);
  rmSync(aside, { recursive: true, force: true });
  moveWhole(kept, aside);
  log.warn({ hsm: hsmId, folder: aside }, 'the HSM has failed and is replaced; what it kept is set aside');
}
