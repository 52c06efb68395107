import type { Header } from '../../backup/header.js';
import type { BackupKeys } from '../../backup/keys.js';
import { readBackup } from '../../backup/reader.js';
import { rejected, unsuitable } from '../../backup/refused.js';
import { systemClock } from '../../base/clock.js';
import { mayRestoreOn } from '../../base/cluster-kind.js';
import { describeError, Failure } from '../../base/errors.js';
import type { Log } from '../../base/log.js';
import { encodeStored } from '../../objects/record.js';
import type { Change, RecordStore } from '../../store/record-store.js';
import { byItself, minimal } from '../audit/entry.js';
import { AuditTrail } from '../audit/trail.js';
import { counterAfterRestore, reservedChange } from '../handles.js';
import type { HsmSettings } from '../hsm.js';
import { MaskingKey } from '../masking.js';
import { indexChanges, indexKeys } from '../object-index.js';
import { versionChange } from '../object-versions.js';
import { settingKey } from '../setting-rows.js';
import { decodeRecords, STATE_SCHEMA_VERSION } from './content.js';
import { type CheckedRecord, ContentCheck } from './content-check.js';

/** Changes in one write, about; it keeps the loop for ten milliseconds or so. */
const CHANGES_AT_A_TIME = 2000;

const ofAnHsm = [
  'settings',
  'users',
  'objects',
  'index',
  'tombstones',
  'versions',
  'withdrawals',
  'formerUsers',
  'audit',
] as const;

/** Whether this HSM takes such a backup. Throws BACKUP_REFUSED. */
function requireSuitable({ hsmType, mode, stateSchemaVersion }: Header, settings: HsmSettings): void {
  if (mode !== settings.mode)
    throw unsuitable(`it is of a cluster in mode ${mode}, and ${settings.id} is in mode ${settings.mode}`);
  if (!mayRestoreOn(hsmType, settings.hsmType))
    throw unsuitable(
      `it is of an ${hsmType}: ${settings.id}, an ${settings.hsmType}, does not restore those`,
    );
  if (stateSchemaVersion !== STATE_SCHEMA_VERSION)
    throw unsuitable(
      `its content has schema ${stateSchemaVersion}: this version restores ${STATE_SCHEMA_VERSION}`,
    );
}

/** Gathers changes into writes. */
class Staging {
  #changes: Change[] = [];

  constructor(private readonly store: RecordStore) {}

  async add(changes: readonly Change[]): Promise<void> {
    this.#changes.push(...changes);
    if (this.#changes.length >= CHANGES_AT_A_TIME) await this.flush();
  }

  async flush(): Promise<void> {
    const changes = this.#changes;
    this.#changes = [];
    await this.store.write(changes);
    for (const { value } of changes) value?.fill(0);
  }

  /** What an earlier restore that did not come to its end has left. */
  async clear(): Promise<void> {
    for (const table of ofAnHsm)
      for (const key of [...this.store.keys(table)]) await this.add([{ table, key, value: undefined }]);
    await this.flush();
  }
}

/** What a record comes to in a store. */
function changesOf(record: CheckedRecord, maskingKey: MaskingKey | undefined): readonly Change[] {
  const { table, key, value, object } = record;
  // What it says went into `lastCounter`.
  if (table === 'settings' && key.equals(settingKey('handles-reserved'))) return [];
  if (object === undefined) return [{ table, key, value }];
  if (maskingKey === undefined) throw new Error('there is no masking key');
  const changes = [
    { table, key, value: encodeStored(object) },
    ...indexChanges(indexKeys(object), true),
    versionChange(object, maskingKey.digest(object)),
  ];
  object.material.fill(0);
  value.fill(0);
  return changes;
}

/** Pieces that nobody needs any more when the next one is asked for. */
async function* cleansing(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) {
    yield piece;
    piece.fill(0);
  }
}

/**
 * Reads a backup into the store of an HSM that has not been provisioned.
 * @returns the changes that make an HSM of what is now there: until they are written there is none, whatever happened before
 * @throws BACKUP_REFUSED
 */
async function stage(
  store: RecordStore,
  settings: HsmSettings,
  keys: BackupKeys,
  container: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  log: Log,
): Promise<readonly Change[]> {
  const detail = (text: string): void => log.warn({ hsm: settings.id }, `backup refused: ${text}`);
  const accept = (header: Header): void => requireSuitable(header, settings);
  const { header, state } = await readBackup(container, keys, accept, detail);
  const check = new ContentCheck(settings.hsmType, settings.quota);
  const staging = new Staging(store);
  await staging.clear();
  let maskingKey: MaskingKey | undefined;
  let last: readonly Change[] = [];
  try {
    for await (const record of decodeRecords(cleansing(state))) {
      const checked = check.add(record);
      if (record.table === 'settings' && record.key.equals(settingKey('masking-key'))) {
        maskingKey = new MaskingKey(record.value);
        if (header.maskingKeyId?.equals(maskingKey.id) === false)
          throw new Error('the masking key is not the one that the header names');
        last = [record];
      } else {
        await staging.add(changesOf(checked, maskingKey));
      }
    }
    check.finish();
    await staging.flush();
    return [...last, reservedChange(counterAfterRestore(check.lastCounter))];
  } catch (error) {
    // The container's refusals, and what the disk says; all others tell what is wrong with the content.
    if (error instanceof Failure) throw error;
    detail(describeError(error));
    throw rejected();
  } finally {
    maskingKey?.destroy();
  }
}

/**
 * Makes an HSM out of a backup, in a store that none has yet: its users, objects, settings and masking key, in one last write
 * without which there is no HSM. It has an audit log and a number range of its own.
 * @throws BACKUP_REFUSED when it is damaged, or of another manufacturer, installation, mode or type
 */
export async function restoreHsm(
  store: RecordStore,
  settings: HsmSettings,
  container: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
  log: Log,
  clock = systemClock,
): Promise<void> {
  const { id, backupKeys } = settings;
  if (backupKeys === undefined) throw new Error(`${id} has been given no backup keys`);
  if (store.get('settings', settingKey('masking-key')) !== undefined)
    throw new Error(`${id} has content: backups are restored into new HSMs`);
  const beginUs = Math.round(clock.nowMs() * 1000);
  const changes = await stage(store, settings, backupKeys, container, log);
  const trail = new AuditTrail(store, log, clock);
  await trail.write(changes, [
    { ...byItself(beginUs), ...minimal('CN_RESTORE_BEGIN') },
    { ...byItself(trail.nowUs()), ...minimal('CN_RESTORE_END') },
  ]);
  for (const { value } of changes) value?.fill(0);
}
