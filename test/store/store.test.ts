import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { Failure } from '../../src/base/errors.js';
import { HandleAllocator } from '../../src/hsm/handles.js';
import { isEchoOfFailedCommit, openLmdbStore } from '../../src/store/lmdb-store.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { endOfPrefix, type RecordStore } from '../../src/store/record-store.js';
import { sealedStore } from '../../src/store/sealing.js';

const sealingKey = Buffer.alloc(32, 9);
const [a, b] = [Buffer.from('a'), Buffer.from('b')];

for (const [driver, open] of [
  ['LMDB', (folder: string) => openLmdbStore(join(folder, 'store'))],
  ['memory', () => openMemoryStore()],
] as [string, (folder: string) => RecordStore][]) {
  describe(`the ${driver} store`, () => {
    let folder: string;
    let store: RecordStore;

    beforeEach(() => {
      folder = mkdtempSync(join(tmpdir(), 'chl-'));
      store = open(folder);
    });

    afterEach(async () => {
      await store.close();
      rmSync(folder, { recursive: true });
    });

    it('keeps tables apart and gives back what was written', async () => {
      await store.write([
        { table: 'users', key: a, value: Buffer.from('user') },
        { table: 'objects', key: a, value: Buffer.from('object') },
      ]);
      expect(store.get('users', a)?.toString()).to.equal('user');
      expect(store.get('objects', a)?.toString()).to.equal('object');
      expect(store.get('settings', a)).to.equal(undefined);
    });

    it('lists keys by prefix, in byte order, also at the end of the byte', async () => {
      const keys = ['01', '01ff', '01ff00', '02', 'ff', 'ffff'].map((hex) => Buffer.from(hex, 'hex'));
      await store.write(keys.map((key) => ({ table: 'index', key, value: Buffer.alloc(0) })));
      const listed = (prefix?: string) =>
        [...store.keys('index', prefix === undefined ? undefined : Buffer.from(prefix, 'hex'))].map((key) =>
          key.toString('hex'),
        );
      expect(listed()).to.deep.equal(['01', '01ff', '01ff00', '02', 'ff', 'ffff']);
      expect(listed('01')).to.deep.equal(['01', '01ff', '01ff00']);
      expect(listed('01ff')).to.deep.equal(['01ff', '01ff00']);
      expect(listed('ff')).to.deep.equal(['ff', 'ffff']);
      const counted = (prefix: string) => store.count('index', Buffer.from(prefix, 'hex'));
      expect(['', '01', 'ff', '03'].map(counted)).to.deep.equal([6, 3, 2, 0]);
    });

    it('keeps a snapshot as it was, whatever is written meanwhile', async () => {
      await store.write([
        { table: 'users', key: a, value: Buffer.from('then') },
        { table: 'users', key: b, value: Buffer.from('then') },
      ]);
      const snapshot = store.snapshot();
      await store.write([
        { table: 'users', key: a, value: Buffer.from('now') },
        { table: 'users', key: b, value: undefined },
        { table: 'users', key: Buffer.from('c'), value: Buffer.from('now') },
      ]);
      expect([...snapshot.keys('users')]).to.deep.equal([a, b]);
      expect([a, b].map((key) => snapshot.get('users', key)?.toString())).to.deep.equal(['then', 'then']);
      snapshot.release();
      expect([...store.keys('users')].join()).to.equal('a,c');
      const sealed = sealedStore(store, sealingKey, 'hsm-a');
      await sealed.write([{ table: 'users', key: b, value: Buffer.from('sealed') }]);
      const opened = sealed.snapshot();
      expect(opened.get('users', b)?.toString()).to.equal('sealed');
      opened.release();
    });

    it('removes records', async () => {
      await store.write([{ table: 'users', key: a, value: b }]);
      await store.write([{ table: 'users', key: a, value: undefined }]);
      expect(store.get('users', a)).to.equal(undefined);
      expect([...store.keys('users')]).to.deep.equal([]);
    });

    it('seals values, and opens them only at their own place', async () => {
      const sealed = sealedStore(store, sealingKey, 'hsm-a');
      await sealed.write([{ table: 'objects', key: a, value: Buffer.from('a private key') }]);
      const raw = store.get('objects', a)!;
      expect(raw.toString('latin1')).not.to.contain('private');
      expect(sealed.get('objects', a)?.toString()).to.equal('a private key');
      await store.write([
        { table: 'objects', key: b, value: raw },
        { table: 'users', key: a, value: raw },
      ]);
      const moved: [RecordStore, 'objects' | 'users', Buffer][] = [
        [sealed, 'objects', b],
        [sealed, 'users', a],
        [sealedStore(store, sealingKey, 'hsm-b'), 'objects', a],
        [sealedStore(store, Buffer.alloc(32, 1), 'hsm-a'), 'objects', a],
      ];
      for (const [from, table, key] of moved) {
        expect(() => from.get(table, key))
          .to.throw(Failure)
          .with.property('code', 'CORRUPT_STORE');
      }
      for (let at = 0; at < raw.length; at++) {
        const altered = Buffer.from(raw);
        altered[at]! ^= 0x80;
        await store.write([{ table: 'objects', key: a, value: altered }]);
        expect(() => sealed.get('objects', a), `byte ${at}`).to.throw(Failure);
      }
    });
  });
}

describe('the LMDB store on disk', () => {
  it('is there after it was closed, and only its owner can read it', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chl-'));
    let store = openLmdbStore(folder);
    await store.write([{ table: 'users', key: a, value: b }]);
    await store.close();
    store = openLmdbStore(folder);
    expect(store.get('users', a)).to.deep.equal(b);
    await store.close();
    expect(statSync(join(folder, 'data.mdb')).mode & 0o777).to.equal(0o600);
    rmSync(folder, { recursive: true });
  });

  it('is closed when the snapshots of it are released, whose readers are told', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'chl-'));
    const store = openLmdbStore(folder);
    await store.write([a, b].map((key) => ({ table: 'users', key, value: b }) as const));
    const snapshot = store.snapshot();
    const reading = snapshot.keys('users')[Symbol.iterator]();
    expect(reading.next().value).to.deep.equal(a);
    let closed = false;
    const closing = store.close().then(() => {
      closed = true;
    });
    for (const read of [
      () => reading.next(),
      () => snapshot.get('users', a),
      () => [...snapshot.keys('users')],
      () => store.get('users', a),
      () => [...store.keys('users')],
      () => store.count('users', a),
      () => store.snapshot(),
    ])
      expect(read).to.throw(Failure, 'closed').with.property('code', 'CKR_DEVICE_REMOVED');
    expect(closed).to.equal(false);
    snapshot.release();
    await closing;
    rmSync(folder, { recursive: true });
  });
});

describe('the echo of a failed commit', () => {
  it('is what lmdb says of it once more, and no other error', () => {
    const error = (more: object): Error => Object.assign(new Error('Read-only file system'), more);
    expect(isEchoOfFailedCommit(error({ code: 30 })), "the system's word").to.equal(true);
    expect(isEchoOfFailedCommit(error({ commitError: Promise.reject(error({ code: 30 })) }))).to.equal(true);
    expect(isEchoOfFailedCommit(error({ code: 'EROFS' })), 'of another file').to.equal(false);
    expect(isEchoOfFailedCommit(error({}))).to.equal(false);
    expect(isEchoOfFailedCommit('text')).to.equal(false);
  });
});

describe('endOfPrefix', () => {
  it('is the first key behind those with the prefix', () => {
    expect(endOfPrefix(Buffer.from('0102', 'hex')).toString('hex')).to.equal('0103');
    expect(endOfPrefix(Buffer.from('01ff', 'hex')).toString('hex')).to.equal('02');
  });
});

describe('handles', () => {
  it('go on behind everything handed out before a crash', async () => {
    const store = openMemoryStore();
    const first = await HandleAllocator.open(store, 2);
    const before = new Set<number>();
    for (let count = 0; count < 70_000; count++) before.add(await first.allocate());
    const second = await HandleAllocator.open(store, 2);
    const next = await second.allocate();
    expect(before.size).to.equal(70_000);
    expect(next).to.be.greaterThan(Math.max(...[...before].slice(-1)));
    expect(before.has(next)).to.equal(false);
  });

  it('of different HSMs never meet', async () => {
    const [one, two] = [
      await HandleAllocator.open(openMemoryStore(), 1),
      await HandleAllocator.open(openMemoryStore(), 2),
    ];
    const handles = [...Array(100)].flatMap(() => [one.allocate(), two.allocate()]);
    expect(new Set(handles).size).to.equal(200);
  });
});
