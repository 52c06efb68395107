import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { expect } from 'chai';
import { silentLog } from '../../../src/base/log.js';
import { decodeBlock } from '../../../src/hsm/audit/block.js';
import { type AuditEntry, minimal } from '../../../src/hsm/audit/entry.js';
import { AuditTrail } from '../../../src/hsm/audit/trail.js';
import { handleKey } from '../../../src/hsm/object-index.js';
import { openMemoryStore } from '../../../src/store/memory-store.js';
import type { RecordStore } from '../../../src/store/record-store.js';
import { sealedStore } from '../../../src/store/sealing.js';
import { codeOf } from '../../support/codes.js';

describe('the chain of an audit log', () => {
  const entry = (sessionHandle: number): AuditEntry => ({
    timeUs: 0,
    sessionHandle,
    response: 'SUCCESS',
    ...minimal('CN_LOGIN'),
  });
  const trailOn = (store: RecordStore, mostRecords?: number) =>
    new AuditTrail(store, silentLog, undefined, mostRecords);

  async function filled(count = 10): Promise<{ inner: RecordStore; store: RecordStore; trail: AuditTrail }> {
    const inner = openMemoryStore();
    const store = sealedStore(inner, Buffer.alloc(32, 5), 'hsm-audited');
    const trail = trailOn(store);
    for (let at = 0; at < count; at++) await trail.append(entry(at));
    return { inner, store, trail };
  }

  it('is unbroken, and goes on after a restart with another reboot counter', async () => {
    const { store, trail } = await filled();
    expect(await trail.verify()).to.deep.equal({ records: 10, first: 0 });
    const restarted = trailOn(store);
    await restarted.append(entry(10));
    expect(await restarted.verify()).to.deep.equal({ records: 11, first: 0 });
    expect(
      restarted.read(9, 10).map(({ sequence, rebootCounter }) => [sequence, rebootCounter]),
    ).to.deep.equal([
      [9, 0],
      [10, 1],
    ]);
  });

  const at = (sequence: number) => ({ table: 'audit', key: handleKey(sequence) }) as const;
  const tampering: [string, (store: RecordStore, inner: RecordStore) => Promise<void>][] = [
    ['a record removed', (store) => store.write([{ ...at(4), value: undefined }])],
    ['the last record removed', (store) => store.write([{ ...at(9), value: undefined }])],
    ['the first record removed', (store) => store.write([{ ...at(0), value: undefined }])],
    [
      'a record added behind the last',
      (store) => store.write([{ ...at(10), value: store.get('audit', at(9).key) }]),
    ],
    [
      'a record copied over another',
      async (_, inner) => inner.write([{ ...at(4), value: inner.get('audit', at(3).key) }]),
    ],
    [
      'a bit flipped on disk',
      async (_, inner) => {
        const value = inner.get('audit', at(4).key)!;
        value[20]! ^= 1;
        await inner.write([{ ...at(4), value }]);
      },
    ],
    [
      'a record rewritten by who has the sealing key',
      async (store) => {
        const value = store.get('audit', at(4).key)!;
        const text = value.toString('latin1').replace('[0,4,', '[0,5,');
        await store.write([{ ...at(4), value: Buffer.from(text, 'latin1') }]);
      },
    ],
    [
      'two records exchanged by who has the sealing key',
      async (store) => {
        const [one, other] = [store.get('audit', at(4).key), store.get('audit', at(5).key)];
        await store.write([
          { ...at(4), value: other },
          { ...at(5), value: one },
        ]);
      },
    ],
  ];
  for (const [what, tamper] of tampering) {
    it(`tells of ${what}`, async () => {
      const { inner, store, trail } = await filled();
      await tamper(store, inner);
      expect((await trail.verify()).problem, what).to.be.a('string');
      expect((await trailOn(store).verify()).problem, 'after a restart').to.be.a('string');
    });
  }

  const nonsense: Record<string, (json: string) => string> = {
    'a number that no opcode has': (json) => json.replace(/(?<=\[0,301,)\d+/, '999999'),
    'a number that no response has': (json) => json.replace(/(?<=\[0,301,\d+,)\d+/, '999999'),
    'a time that is none': (json) => json.replace('[0,301,', '["then",301,'),
    'no numbers at all': (json) => json.replace(/\[0,301,[^\]]*\]/, 'null'),
  };
  for (const [what, change] of Object.entries(nonsense))
    it(`says which record it is that has ${what}`, async () => {
      const { store, trail } = await filled(300);
      await Promise.all(Array.from({ length: 10 }, (_, count) => trail.append(entry(300 + count))));
      // The records 300 to 309 are one block.
      const block = store.get('audit', at(300).key)!;
      const json = change(block.subarray(32).toString());
      expect(json).not.to.equal(block.subarray(32).toString());
      await store.write([{ ...at(300), value: Buffer.concat([block.subarray(0, 32), Buffer.from(json)]) }]);
      const problem = 'record 301 of the audit log means nothing here';
      expect((await trail.verify()).problem).to.equal(problem);
      expect(() => trail.read(0, 400)).to.throw(problem);
      expect(trail.read(0, 300)).to.have.length(300);
    });

  it('says which block it is that is none', async () => {
    const { store, trail } = await filled(3);
    for (const text of ['', '{', 'null', '{}', '{"sequence":1,"rebootCounter":0,"records":[]}']) {
      const value = Buffer.concat([store.get('audit', at(1).key)!.subarray(0, 32), Buffer.from(text)]);
      await store.write([{ ...at(1), value }]);
      expect((await trail.verify()).problem, text).to.equal('record 1 of the audit log means nothing here');
    }
  });

  it('keeps what is written together in one block, and reads any part of it', async () => {
    const { store, trail } = await filled(3);
    const numbers = Array.from({ length: 600 }, (_, count) => count + 3);
    await Promise.all(numbers.map((number) => trail.append(entry(number))));
    expect(store.count('audit', Buffer.alloc(0))).to.be.within(6, 8);
    expect(await trail.verify()).to.deep.equal({ records: 603, first: 0 });
    for (const [from, count] of [
      [0, 603],
      [2, 2],
      [100, 1],
      [255, 300],
      [602, 10],
      [603, 1],
    ] as const) {
      const handles = trail.read(from, count).map(({ sessionHandle }) => sessionHandle);
      expect(handles).to.deep.equal([0, 1, 2, ...numbers].slice(from, from + count), `${count} from ${from}`);
    }
    await store.write([{ ...at(3), value: undefined }]);
    expect((await trail.verify()).problem).to.equal('record 3 is missing');
  });

  it('goes on from records that an earlier build kept one by one', async () => {
    const { store } = await filled(2);
    for (const sequence of [0, 1]) {
      const block = store.get('audit', at(sequence).key)!;
      const [record] = decodeBlock(block, sequence);
      const alone = Buffer.concat([block.subarray(0, 32), Buffer.from(JSON.stringify(record))]);
      await store.write([{ ...at(sequence), value: alone }]);
      // The chain is over the bytes: what follows has to be told of them.
      const hash = createHash('sha256').update(alone).digest();
      if (sequence === 0)
        await store.write([
          { ...at(1), value: Buffer.concat([hash, store.get('audit', at(1).key)!.subarray(32)]) },
        ]);
      const head = JSON.parse(store.get('settings', Buffer.from('audit-head'))!.toString());
      const value = Buffer.from(JSON.stringify({ ...head, hash: hash.toString('hex') }));
      await store.write([{ table: 'settings', key: Buffer.from('audit-head'), value }]);
    }
    const trail = trailOn(store);
    await trail.append(entry(2));
    expect(await trail.verify()).to.deep.equal({ records: 3, first: 0 });
    expect(trail.read(0, 9).map(({ sessionHandle }) => sessionHandle)).to.deep.equal([0, 1, 2]);
  });

  it('goes on from records of an earlier build that have as a handle what no HSM gives', async () => {
    const { store, trail } = await filled(1);
    const keys = { secret: 2 ** 64, public: 0 };
    await trail.append({ ...entry(1), ...minimal('CN_DESTROY_OBJECT'), keys });
    expect(await trailOn(store).verify()).to.deep.equal({ records: 2, first: 0 });
    expect(trail.read(1, 1)[0]!.keys).to.deep.equal(keys);
  });

  it('is bounded: the oldest records go, and the rest stays a chain', async () => {
    const { store } = await filled(0);
    const trail = trailOn(store, 2000);
    for (let round = 0; round < 5; round++)
      await Promise.all(Array.from({ length: 1000 }, (_, count) => trail.append(entry(count))));
    const check = await trail.verify();
    expect(check.problem).to.equal(undefined);
    expect(check.records).to.be.within(2000, 3512);
    expect(check.first).to.equal(5000 - check.records);
    expect(await trailOn(store, 2000).verify()).to.deep.equal(check);
  });

  it('has no hole when the disk takes nothing for a while: what happened is written later, what did not is not', async () => {
    const inner = openMemoryStore();
    let full = false;
    const store: RecordStore = {
      ...inner,
      write: async (changes) => {
        if (full) throw new Error('the disk is full');
        await inner.write(changes);
      },
    };
    const trail = trailOn(store);
    await trail.append(entry(0));
    full = true;
    await trail.append(entry(1));
    trail.appendLazily(entry(2));
    const change = { table: 'settings', key: Buffer.from('x'), value: Buffer.from('y') } as const;
    expect(await codeOf(() => trail.write([change], [entry(3)]))).to.contain('the disk is full');
    full = false;
    await trail.append(entry(4));
    expect(trail.read(0, 10).map(({ sessionHandle }) => sessionHandle)).to.deep.equal([0, 1, 2, 4]);
    expect((await trail.verify()).problem).to.equal(undefined);
    expect(store.get('settings', change.key)).to.equal(undefined);
  });

  it('writes together what nobody waits for, also when it came during another write', async () => {
    const inner = openMemoryStore();
    let writes = 0;
    const write: RecordStore['write'] = async (changes) => {
      writes++;
      await setImmediate();
      await inner.write(changes);
    };
    const trail = trailOn({ ...inner, write });
    const awaited = trail.append(entry(0));
    await Promise.resolve();
    trail.appendLazily(entry(1));
    await awaited;
    trail.appendLazily(entry(2));
    await setImmediate();
    expect(writes).to.equal(1);
    await trail.flush();
    expect(writes).to.equal(2);
    expect(trail.read(0, 10)).to.have.length(3);
  });
});
