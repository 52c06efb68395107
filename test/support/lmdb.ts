import { open } from 'lmdb';
import { type TableName, tables } from '../../src/store/record-store.js';

/** How many records LMDB has by itself, of one table or of all: what a build without a journal finds. Nobody else may have it open. */
export async function recordsInLmdb(directory: string, table?: TableName): Promise<number> {
  const options = { path: directory, keyEncoding: 'binary', encoding: 'binary', maxDbs: 1 } as const;
  const db = open<Buffer, Buffer>(options);
  const prefix = table && tables[table].prefix;
  const range = { start: Buffer.from([prefix ?? 1]), end: Buffer.from([(prefix ?? 0xfe) + 1]) };
  const count = db.getKeysCount(range);
  await db.close();
  return count;
}
