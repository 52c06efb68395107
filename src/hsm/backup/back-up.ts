import { setTimeout as sleep } from 'node:timers/promises';
import { type State, writeBackup } from '../../backup/container.js';
import { commandFailure } from '../../base/errors.js';
import type { RecordStore, Snapshot } from '../../store/record-store.js';
import { byItself, minimal } from '../audit/entry.js';
import type { AuditTrail } from '../audit/trail.js';
import type { HsmSettings } from '../hsm.js';
import type { HsmResponse } from '../hsm-responses.js';
import type { MaskingKey } from '../masking.js';
import { encodedLength, encodeRecord, recordsOf, STATE_SCHEMA_VERSION } from './content.js';
import { ContentCheck } from './content-check.js';

/** The share of the time that a backup leaves to everybody else when there is somebody else. */
const PAUSE_PER_WORK = 3;

/** What a backup is made of. */
export interface BackupSource {
  readonly settings: HsmSettings;
  readonly store: RecordStore;
  readonly maskingKey: MaskingKey;
  readonly audit: AuditTrail;
  /** A number that goes up with each command that the HSM is given. */
  commandsGiven(): number;
}

/** Looks at all of it first: what no HSM would restore is no backup. */
async function stateOf(snapshot: Snapshot, { settings }: BackupSource): Promise<State> {
  const check = new ContentCheck(settings.hsmType, settings.quota);
  let lengthBytes = 0;
  try {
    for await (const record of recordsOf(snapshot)) {
      lengthBytes += encodedLength(record);
      check.add(record).object?.material.fill(0);
      record.value.fill(0);
    }
    check.finish();
  } catch (error) {
    const text = `${settings.id} cannot be backed up: what it keeps does not hold together`;
    throw commandFailure('CORRUPT_STORE', text, error);
  }
  return {
    lengthBytes,
    pieces: async function* () {
      for await (const record of recordsOf(snapshot)) {
        const encoded = encodeRecord(record);
        record.value.fill(0);
        yield encoded;
      }
    },
  };
}

/** The content, while the snapshot stays. */
async function* contentOf(
  source: BackupSource,
  snapshot: Snapshot,
  clusterId: string,
): AsyncGenerator<Buffer> {
  const { hsmType, mode, backupKeys, id } = source.settings;
  if (backupKeys === undefined) throw new Error(`${id} has been given no backup keys`);
  const fields = {
    hsmType,
    mode,
    clusterId,
    createdAtMs: Math.floor(source.audit.nowUs() / 1000),
    stateSchemaVersion: STATE_SCHEMA_VERSION,
    maskingKeyId: source.maskingKey.id,
  };
  const state = await stateOf(snapshot, source);
  let commands = source.commandsGiven();
  let begin = performance.now();
  for await (const piece of writeBackup(backupKeys, fields, state)) {
    yield piece;
    if (source.commandsGiven() !== commands) await sleep((performance.now() - begin) * PAUSE_PER_WORK);
    commands = source.commandsGiven();
    begin = performance.now();
  }
}

/**
 * The HSM's content at this moment, in a container, piece by piece. Others are served in between: nothing of it takes long on the
 * engine's loop, and while programs use the HSM it pauses for longer than it works.
 */
export async function* backUp(source: BackupSource, clusterId: string): AsyncGenerator<Buffer> {
  const { audit, store } = source;
  await audit.append({ ...byItself(audit.nowUs()), ...minimal('CN_BACKUP_BEGIN') });
  const snapshot = store.snapshot();
  let response: HsmResponse = 'FAILED';
  try {
    yield* contentOf(source, snapshot, clusterId);
    response = 'SUCCESS';
  } finally {
    snapshot.release();
    await audit.append({ ...byItself(audit.nowUs()), ...minimal('CN_BACKUP_END'), response });
  }
}
