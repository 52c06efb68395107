import { type Change, type RecordStore, recordKey, type TableName } from './record-store.js';

/** A store that forgets: for tests, and for everything that needs an HSM without a disk. */
export function openMemoryStore(): RecordStore {
  return storeOn(new Map());
}

function storeOn(records: Map<string, Buffer>): RecordStore {
  const name = (table: TableName, key: Buffer): string => recordKey(table, key).toString('latin1');
  const keys = (table: TableName, prefix: Buffer = Buffer.alloc(0)): Buffer[] => {
    const start = name(table, prefix);
    return [...records.keys()]
      .filter((key) => key.startsWith(start))
      .sort()
      .map((key) => Buffer.from(key, 'latin1').subarray(1));
  };
  return {
    get: (table, key) => {
      const value = records.get(name(table, key));
      return value && Buffer.from(value);
    },
    keys,
    count: (table, prefix) => keys(table, prefix).length,
    write: async (changes: readonly Change[]) => {
      for (const { table, key, value } of changes) {
        if (value === undefined) records.delete(name(table, key));
        else records.set(name(table, key), Buffer.from(value));
      }
    },
    snapshot: () => {
      const { get, keys: keysThen } = storeOn(new Map(records));
      return { get, keys: keysThen, release: () => undefined };
    },
    close: async () => records.clear(),
  };
}
