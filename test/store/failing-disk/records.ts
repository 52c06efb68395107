import type { RecordStore, Snapshot } from '../../../src/store/record-store.js';

/** So large that LMDB commits nearly all the time. */
export const CHANGES_PER_WRITE = 100;
export const VALUE_BYTES = 1000;

export function keyOf(at: number): Buffer {
  const key = Buffer.alloc(8);
  key.writeUInt32BE(at, 4);
  return key;
}

/** What is wrong with the records of the first so many writes. */
export function problemOf(store: RecordStore | Snapshot, writes: number): string | undefined {
  try {
    const records = writes * CHANGES_PER_WRITE;
    for (let at = 0; at < records; at++)
      if (store.get('objects', keyOf(at))?.readUInt32BE(0) !== at)
        return `record ${at} is not as it was written`;
    const listed = [...store.keys('objects')].length;
    return listed < records ? `${listed} of ${records} records are listed` : undefined;
  } catch (error) {
    return String(error);
  }
}
