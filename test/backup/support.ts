import { type BackupFields, type Fresh, type State, writeBackup } from '../../src/backup/container.js';
import { BackupKeys, MANUFACTURER_ID } from '../../src/backup/keys.js';
import { readBackup } from '../../src/backup/reader.js';
import { Failure } from '../../src/base/errors.js';

/** `first`, `first` + 1, …: the bytes of the known answer (reference control-plane-and-backups, section 12.3). */
export const counting = (first: number, count: number): Buffer =>
  Buffer.from(Array.from({ length: count }, (_, at) => first + at));

export const versions = (...keys: readonly [number, Buffer][]): ReadonlyMap<number, Buffer> => new Map(keys);

export const knownKeys = new BackupKeys(
  MANUFACTURER_ID,
  versions([1, counting(0x00, 32)]),
  versions([1, counting(0x20, 32)]),
);

export const knownFresh = (): Fresh => ({ ebk: counting(0x40, 32), nonce: counting(0x60, 16) });

export const knownFields: BackupFields = {
  hsmType: 'hsm2m.medium',
  mode: 'FIPS',
  clusterId: 'cluster-igklspoyj5v',
  createdAtMs: 1700000000000,
  stateSchemaVersion: 1,
};

export const knownState = '{"schema":1,"users":[]}';

export function stateOf(bytes: Buffer): State {
  return { lengthBytes: bytes.length, pieces: () => [Buffer.from(bytes)] };
}

export async function collected(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const piece of pieces) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

export interface Made {
  readonly keys?: BackupKeys;
  readonly fields?: Partial<BackupFields>;
  readonly fresh?: Fresh;
  readonly chunkSizeBytes?: number;
}

export function backupOf(state: Buffer, made: Made = {}): Promise<Buffer> {
  const { keys = knownKeys, fields, fresh, chunkSizeBytes } = made;
  return collected(writeBackup(keys, { ...knownFields, ...fields }, stateOf(state), fresh, chunkSizeBytes));
}

export interface Opened {
  readonly state?: Buffer;
  /** What the one who asked is told. */
  readonly refused?: string;
  /** What the HSM's log has. */
  readonly details: readonly string[];
}

/** Reads a backup to its end. */
export async function opened(backup: Buffer, keys = knownKeys): Promise<Opened> {
  const details: string[] = [];
  try {
    const { state } = await readBackup(
      [backup],
      keys,
      () => undefined,
      (text) => details.push(text),
    );
    return { state: await collected(state), details };
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== 'BACKUP_REFUSED') throw error;
    return { refused: error.message, details };
  }
}
