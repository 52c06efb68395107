import { commandFailure } from '../base/errors.js';
import { aesGcmDecrypt, aesGcmSeal, importSecretKey, SEAL_BYTES, type SecretKey } from '../crypto/index.js';
import { type Change, type RecordStore, recordKey, type TableName, tables } from './record-store.js';

/** sealed value = u8 version, 12 bytes nonce, ciphertext, 16 bytes tag; AES-256-GCM. */
const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;

export const SEALING_KEY_BYTES = 32;

/** Encrypts so that the result opens only under the same key and the same `identity`. */
export function seal(key: SecretKey, identity: Buffer, plaintext: Buffer): Buffer {
  const sealed = Buffer.allocUnsafe(1 + plaintext.length + SEAL_BYTES);
  sealed[0] = VERSION;
  aesGcmSeal(key, identity, plaintext, sealed.subarray(1));
  return sealed;
}

/** The plaintext, or undefined for anything that `seal` did not make under this key and identity. */
export function unseal(key: SecretKey, identity: Buffer, sealed: Buffer): Buffer | undefined {
  if (sealed.length < HEADER_BYTES + TAG_BYTES || sealed[0] !== VERSION) return undefined;
  try {
    return aesGcmDecrypt(
      key,
      sealed.subarray(1, HEADER_BYTES),
      identity,
      TAG_BYTES,
      sealed.subarray(HEADER_BYTES),
    );
  } catch {
    return undefined;
  }
}

/**
 * A store whose values are encrypted under the HSM's sealing key. A value is bound to its HSM, table and key: a record
 * copied to another place does not open there. Reading such a record throws CORRUPT_STORE.
 */
export function sealedStore(inner: RecordStore, sealingKey: Buffer, hsmId: string): RecordStore {
  const key = importSecretKey(sealingKey);
  const owner = Buffer.from(`${hsmId}\0`);
  const identityOf = (table: TableName, recordAt: Buffer): Buffer => recordKey(table, recordAt, owner);
  const opened = (table: TableName, recordAt: Buffer, value: Buffer | undefined): Buffer | undefined => {
    if (value === undefined || !tables[table].sealed) return value;
    const plaintext = unseal(key, identityOf(table, recordAt), value);
    if (plaintext === undefined) {
      throw commandFailure('CORRUPT_STORE', `a record of table ${table} of ${hsmId} was damaged or moved`);
    }
    return plaintext;
  };
  const closed = (change: Change): Change => {
    const { table, key: recordAt, value } = change;
    if (value === undefined || !tables[table].sealed) return change;
    return { table, key: recordAt, value: seal(key, identityOf(table, recordAt), value) };
  };
  return {
    get: (table, recordAt) => opened(table, recordAt, inner.get(table, recordAt)),
    keys: (table, prefix) => inner.keys(table, prefix),
    count: (table, prefix) => inner.count(table, prefix),
    write: (changes) => inner.write(changes.map(closed)),
    snapshot: () => {
      const snapshot = inner.snapshot();
      return {
        ...snapshot,
        get: (table, recordAt) => opened(table, recordAt, snapshot.get(table, recordAt)),
      };
    },
    close: async () => {
      key.destroy();
      await inner.close();
    },
  };
}
