import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openLmdbStore } from '../../src/store/lmdb-store.js';
import { LoopDisk } from '../support/loop-disk.js';
import { problemOf } from './failing-disk/records.js';

/** LMDB is in the middle of a commit in most of them. */
const ATTEMPTS = 4;
const WRITES_BEFORE = 40;

const writer = fileURLToPath(new URL('failing-disk/writer.js', import.meta.url));

/** How lmdb 3.5.6 may end the process when the system refuses a page (src/store/disk-room.ts). */
const endOfLmdb: readonly (string | null)[] = ['SIGABRT', 'SIGSEGV'];

describe('a store whose disk fails while it writes', function () {
  this.timeout(120_000);

  let disk: LoopDisk;
  let child: ChildProcess | undefined;

  before(async function () {
    disk = new LoopDisk();
    await disk.make(this);
  });

  after(async () => {
    child?.kill('SIGKILL');
    await disk.remove();
  });

  for (let attempt = 1; attempt <= ATTEMPTS; attempt++)
    it(`has what it had, then and afterwards (${attempt})`, async () => {
      const folder = join(disk.folder, `store-${attempt}`);
      child = fork(writer, [folder], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
      const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      let written = 0;
      let problem: string | undefined;
      let failing: Promise<void> | undefined;
      child.on('message', (said: { written?: number; problem?: string }) => {
        written = said.written ?? written;
        problem = said.problem ?? problem;
        if (written === WRITES_BEFORE) failing ??= disk.fail();
      });
      const [, signal] = await ended;
      await failing;
      await disk.mend();
      expect(written).to.be.at.least(WRITES_BEFORE);
      if (!endOfLmdb.includes(signal)) expect(problem).to.equal('none');

      const store = openLmdbStore(folder);
      expect(problemOf(store, written)).to.equal(undefined);
      await store.close();
    });
});
