import fs, { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { openLmdbStore } from '../../src/store/lmdb-store.js';
import type { Change, RecordStore, Snapshot, TableName } from '../../src/store/record-store.js';
import { recordsInLmdb } from '../support/lmdb.js';
import { seeded } from '../support/seeded.js';

const tables: readonly TableName[] = ['objects', 'index', 'versions'];

/** All that a store or a snapshot has. */
function contentOf(store: RecordStore | Snapshot): string[] {
  return tables.flatMap((table) =>
    [...store.keys(table)].map(
      (key) => `${table} ${key.toString('hex')} ${store.get(table, key)!.toString('hex')}`,
    ),
  );
}

type Model = ReadonlyMap<string, Change>;

const nameOf = ({ table, key }: Change): string => `${table} ${key.toString('hex')}`;

function changed(model: Model, changes: readonly Change[]): Model {
  const next = new Map(model);
  for (const change of changes) {
    if (change.value === undefined) next.delete(nameOf(change));
    else next.set(nameOf(change), change);
  }
  return next;
}

const contentOfModel = (model: Model): string[] =>
  tables.flatMap((table) =>
    [...model.values()]
      .filter((change) => change.table === table)
      .sort((one, other) => one.key.compare(other.key))
      .map((change) => `${nameOf(change)} ${change.value!.toString('hex')}`),
  );

describe('a store behind its journal', () => {
  const { statfsSync } = fs;
  let folder: string;
  let directory: string;
  let copies = 0;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'chl-'));
    directory = join(folder, 'store');
  });
  afterEach(() => {
    fs.statfsSync = statfsSync;
    syncBuiltinESMExports();
    rmSync(folder, { recursive: true });
  });

  /** What would be there if the power had failed now. */
  function copied(): string {
    const copy = join(folder, `copy-${copies++}`);
    cpSync(directory, copy, { recursive: true });
    return copy;
  }

  async function contentAfterCrash(copy: string): Promise<string[]> {
    const store = openLmdbStore(copy);
    const content = contentOf(store);
    await store.close();
    return content;
  }

  /** A disk with so many bytes left. */
  function leave(bytes: number): void {
    (fs as { statfsSync: unknown }).statfsSync = () => ({ bavail: bytes, bsize: 1 });
    syncBuiltinESMExports();
  }

  const record = (key: string, value: string | undefined, table: TableName = 'index'): Change => ({
    table,
    key: Buffer.from(key),
    value: value === undefined ? undefined : Buffer.from(value),
  });

  it('has what was written at once, in LMDB a moment later, and all of it there once closed', async () => {
    const store = openLmdbStore(directory);
    await store.write([record('a', '1'), record('b', '2')]);
    const atOnce = copied();
    rmSync(join(atOnce, 'journal.0'));
    expect(await recordsInLmdb(atOnce)).to.equal(0);
    for (let times = 0; times < 200 && (await recordsInLmdb(copied())) === 0; times++) await sleep(20);
    expect(await recordsInLmdb(copied())).to.equal(2);
    await store.write([record('c', '3')]);
    await store.close();
    expect(await recordsInLmdb(directory)).to.equal(3);
  });

  it('can be read by a build without a journal once it was closed, and goes on behind what that has written', async () => {
    let store = openLmdbStore(directory);
    await store.write([record('a', '1')]);
    await store.close();
    for (const name of ['journal.0', 'journal.1']) rmSync(join(directory, name), { force: true });
    store = openLmdbStore(directory);
    await store.write([record('b', '2')]);
    const copy = copied();
    await store.close();
    expect(await contentAfterCrash(copy)).to.have.length(2);
  });

  it('keeps what is its own apart from the caller, who may cleanse it', async () => {
    const store = openLmdbStore(directory);
    const change = record('a', 'value');
    await store.write([change]);
    change.value!.fill(0);
    change.key.fill(0);
    store.get('index', Buffer.from('a'))!.fill(0);
    [...store.keys('index')][0]!.fill(0);
    const snapshot = store.snapshot();
    snapshot.get('index', Buffer.from('a'))!.fill(0);
    snapshot.release();
    expect(store.get('index', Buffer.from('a'))!.toString()).to.equal('value');
    expect(contentOf(store)).to.have.length(1);
    await store.close();
  });

  it('goes on reading keys as they were when the reading began, whatever is written and comes to LMDB', async () => {
    const store = openLmdbStore(directory);
    const keys = ['a', 'b', 'c', 'd', 'e', 'f'];
    await store.write(keys.filter((_, at) => at % 2 === 0).map((key) => record(key, '1')));
    await sleep(300);
    await store.write(keys.filter((_, at) => at % 2 === 1).map((key) => record(key, '1')));
    const read: string[] = [];
    for (const key of store.keys('index')) {
      read.push(key.toString());
      if (read.length === 2) {
        await store.write([...keys, 'cc', 'g'].map((name) => record(name, name === 'g' ? '1' : undefined)));
        await sleep(300);
      }
    }
    expect(read).to.deep.equal(keys);
    expect([...store.keys('index')].join()).to.equal('g');
    await store.close();
  });

  it('refuses a key that LMDB would refuse later', async () => {
    const store = openLmdbStore(directory);
    const long = { table: 'index', key: Buffer.alloc(1978), value: Buffer.alloc(0) } as const;
    const failure = await store.write([long]).catch((error) => error);
    expect(failure).to.have.property('code', 'CKR_DEVICE_MEMORY');
    await store.write([{ ...long, key: Buffer.alloc(1977, 1) }]);
    await store.close();
    expect(await recordsInLmdb(directory)).to.equal(1);
  });

  it('loses nothing when LMDB gets no room: it serves, fills the journal, refuses, and goes on', async function () {
    this.timeout(60_000);
    const store = openLmdbStore(directory);
    let count = 0;
    leave(66 * 1024);
    const write = (): Promise<void> => store.write([record(`k${count}`, 'v'.repeat(30_000))]);
    let failure: unknown;
    while (failure === undefined && count < 1000) {
      failure = await write().catch((error) => error);
      if (failure === undefined) count++;
    }
    expect(failure).to.have.property('code', 'CKR_DEVICE_MEMORY');
    expect(failure).to.have.property('message').which.contains('full');
    expect(count).to.equal(2 * 32);
    expect(await write().catch((error) => error.code)).to.equal('CKR_DEVICE_MEMORY');
    expect(contentOf(store)).to.have.length(count);
    expect(await contentAfterCrash(copied())).to.have.length(count);
    // With little room, piece by piece.
    leave(300 * 1024);
    await write();
    await store.close();
    expect(await recordsInLmdb(directory)).to.equal(count + 1);
  });

  it('stays in the journal when there is no room at the end either', async () => {
    let store = openLmdbStore(directory);
    await store.write([record('a', '1')]);
    leave(1024);
    await store.close();
    expect(await recordsInLmdb(copied())).to.equal(0);
    store = openLmdbStore(directory);
    expect(contentOf(store)).to.have.length(1);
    expect(await store.write([record('b', '1')]).catch((error) => error.code)).to.equal('CKR_DEVICE_MEMORY');
    await store.close();
    fs.statfsSync = statfsSync;
    syncBuiltinESMExports();
    await openLmdbStore(directory).close();
    expect(await recordsInLmdb(directory)).to.equal(1);
  });

  it('fails only what was in the frame that the disk refused', async () => {
    const store = openLmdbStore(directory);
    await store.write([record('a', '1')]);
    const { write } = fs;
    const outcomes: Promise<unknown>[] = [];
    const outcome = (key: string): void => {
      outcomes.push(
        store.write([record(key, '1')]).then(
          () => 'written',
          (error) => error.code,
        ),
      );
    };
    for (const code of ['EROFS', 'ENOSPC']) {
      (fs as { write: unknown }).write = (...words: unknown[]) => {
        fs.write = write;
        const done = words.at(-1) as (error: unknown) => void;
        setImmediate(() => done(Object.assign(new Error(code), { code })));
      };
      outcome(code);
      await outcomes.at(-1);
    }
    outcome('b');
    outcome('c');
    expect(await Promise.all(outcomes)).to.deep.equal([
      'CKR_TOKEN_WRITE_PROTECTED',
      'CKR_DEVICE_MEMORY',
      'written',
      'written',
    ]);
    expect([...store.keys('index')].join()).to.equal('a,b,c');
    const copy = copied();
    await store.close();
    expect(await contentAfterCrash(copy)).to.have.length(3);
  });

  for (let seed = 1; seed <= 6; seed++) {
    it(`is like a map that is written to at random, also after crashes (${seed})`, async function () {
      this.timeout(120_000);
      const random = seeded(seed);
      const below = (bound: number): number => (bound > 0 ? random(bound) : 0);
      const changeAt = (): Change => ({
        table: tables[below(tables.length)]!,
        key: Buffer.from(Array.from({ length: 1 + below(2) }, () => [0, 1, 0x7f, 0x80, 0xff][below(5)]!)),
        value:
          below(3) === 0 ? undefined : Buffer.alloc(below(10) === 0 ? below(40_000) : below(40), below(256)),
      });
      let store = openLmdbStore(directory);
      /** States after each write, in the order that they were asked for; those up to `acknowledged` have been acknowledged. */
      const states: Model[] = [new Map()];
      let acknowledged = 0;
      const writes: Promise<void>[] = [];
      const snapshots: { snapshot: Snapshot; content: string[] }[] = [];
      for (let step = 0; step < 400; step++) {
        const action = below(40);
        if (action < 30) {
          const changes = Array.from({ length: 1 + below(below(5) === 0 ? 60 : 6) }, changeAt);
          const at = states.push(changed(states.at(-1)!, changes)) - 1;
          writes.push(
            store.write(changes).then(() => {
              acknowledged = at;
            }),
          );
          if (below(2) === 0) await writes.at(-1);
        } else if (action < 33) {
          const before = acknowledged;
          const content = await contentAfterCrash(copied());
          const possible = states.slice(before).map(contentOfModel);
          expect(possible, `step ${step}`).to.deep.include(content);
        } else if (action < 35) {
          await sleep(below(2) * 200);
        } else if (action < 37) {
          await Promise.all(writes);
          snapshots.push({ snapshot: store.snapshot(), content: contentOfModel(states.at(-1)!) });
        } else if (action < 38) {
          for (const { snapshot, content } of snapshots.splice(0)) {
            expect(contentOf(snapshot), `snapshot, step ${step}`).to.deep.equal(content);
            snapshot.release();
          }
        } else if (action < 39) {
          for (const { snapshot } of snapshots.splice(0)) snapshot.release();
          await store.close();
          expect(acknowledged).to.equal(states.length - 1);
          store = openLmdbStore(directory);
        } else {
          await Promise.all(writes);
          const model = states.at(-1)!;
          expect(contentOf(store), `step ${step}`).to.deep.equal(contentOfModel(model));
          for (const prefix of [[], [0xff], [0x7f]])
            expect(store.count('index', Buffer.from(prefix))).to.equal(
              [...store.keys('index', Buffer.from(prefix))].length,
            );
        }
      }
      for (const { snapshot } of snapshots) snapshot.release();
      await store.close();
      expect(existsSync(join(directory, 'journal.0'))).to.equal(true);
      expect(await contentAfterCrash(directory)).to.deep.equal(contentOfModel(states.at(-1)!));
    });
  }
});
