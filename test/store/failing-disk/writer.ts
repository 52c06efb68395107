/* Run by failing-disk.test.ts as a process of its own: writes to the store in the folder that is its one word, until it cannot. */
import { isEchoOfFailedCommit, openLmdbStore } from '../../../src/store/lmdb-store.js';
import type { Change } from '../../../src/store/record-store.js';
import { CHANGES_PER_WRITE, keyOf, problemOf, VALUE_BYTES } from './records.js';

// As the engine does.
process.on('unhandledRejection', (error) => {
  if (!isEchoOfFailedCommit(error)) throw error;
});

const store = openLmdbStore(process.argv[2]!);
const tell = (said: object): Promise<void> => new Promise((told) => process.send!(said, () => told()));

const changesOf = (write: number): Change[] =>
  Array.from({ length: CHANGES_PER_WRITE }, (_, at) => {
    const number = write * CHANGES_PER_WRITE + at;
    const value = Buffer.alloc(VALUE_BYTES);
    value.writeUInt32BE(number);
    return { table: 'objects', key: keyOf(number), value };
  });

let written = 0;
try {
  for (;;) {
    await store.write(changesOf(written));
    written++;
    await tell({ written });
  }
} catch {
  // The disk takes nothing any more.
}
const snapshot = store.snapshot();
const problem = problemOf(store, written) ?? problemOf(snapshot, written);
snapshot.release();
await tell({ problem: problem ?? 'none' });
process.disconnect();
await store.close();
