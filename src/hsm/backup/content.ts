import { setImmediate as otherWork } from 'node:timers/promises';
import { ByteSource } from '../../backup/byte-source.js';
import { limits } from '../../base/limits.js';
import { travellingRecord } from '../../objects/record.js';
import { type Snapshot, type TableName, tables } from '../../store/record-store.js';
import { isSettingName, settingRows } from '../setting-rows.js';

/*
 * The content of an HSM as bytes, for backups (docs/BACKUP.md): its records one after the other, in the order of their tables
 * and, within a table, of their keys.
 *
 *   u8 table ‖ u16 length of the key ‖ u32 length of the value ‖ key ‖ value      (big-endian)
 *
 * Indexes and versions are made anew where it is restored; the audit log belongs to the HSM.
 */

export const STATE_SCHEMA_VERSION = 1;

const contentTables = [
  'settings',
  'users',
  'objects',
  'tombstones',
  'withdrawals',
  'formerUsers',
] as const satisfies TableName[];
export type ContentTable = (typeof contentTables)[number];

export interface ContentRecord {
  readonly table: ContentTable;
  readonly key: Buffer;
  readonly value: Buffer;
}

const HEAD_BYTES = 7;
const KEY_MAX_BYTES = 64;
const VALUE_MAX_BYTES = limits.maskedObjectBytes;
/** Records before others get their turn. */
const AT_A_TIME = 8;

/** What of a store belongs to the HSM's content. */
function isContent(table: ContentTable, key: Buffer): boolean {
  if (table !== 'settings') return true;
  const name = key.toString('latin1');
  if (!isSettingName(name)) throw new Error(`the setting ${name} has no row that says whether it is content`);
  return settingRows[name].isContent;
}

/** All records, in order; others get their turn in between. The values are the reader's, to be cleansed. */
export async function* recordsOf(snapshot: Snapshot): AsyncGenerator<ContentRecord> {
  let count = 0;
  for (const table of contentTables) {
    for (const key of snapshot.keys(table)) {
      if (!isContent(table, key)) continue;
      if (++count % AT_A_TIME === 0) await otherWork();
      const value = snapshot.get(table, key)!;
      yield { table, key, value: table === 'objects' ? travellingRecord(value) : value };
    }
  }
}

export const encodedLength = ({ key, value }: ContentRecord): number =>
  HEAD_BYTES + key.length + value.length;

export function encodeRecord({ table, key, value }: ContentRecord): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt8(tables[table].prefix, 0);
  head.writeUInt16BE(key.length, 1);
  head.writeUInt32BE(value.length, 3);
  return Buffer.concat([head, key, value]);
}

/** The records in such bytes. Throws an Error for what is malformed. */
export async function* decodeRecords(pieces: AsyncIterable<Buffer>): AsyncGenerator<ContentRecord> {
  const source = new ByteSource(pieces);
  let before = Buffer.alloc(0);
  try {
    while (await source.more()) {
      const head = await source.read(HEAD_BYTES);
      const table = contentTables.find((name) => tables[name].prefix === head.readUInt8(0));
      const [keyBytes, valueBytes] = [head.readUInt16BE(1), head.readUInt32BE(3)];
      if (table === undefined) throw new Error(`there is no table ${head.readUInt8(0)}`);
      if (keyBytes > KEY_MAX_BYTES || valueBytes > VALUE_MAX_BYTES)
        throw new Error(`a record of ${keyBytes} and ${valueBytes} bytes`);
      const key = await source.read(keyBytes);
      const place = Buffer.concat([head.subarray(0, 1), key]);
      if (place.compare(before) <= 0) throw new Error('a record is there twice or out of place');
      before = place;
      yield { table, key, value: await source.read(valueBytes) };
    }
  } finally {
    await source.close();
  }
}
