import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { recordsOf } from '../../src/hsm/backup/content.js';
import { Hsm } from '../../src/hsm/hsm.js';
import { handleKey } from '../../src/hsm/object-index.js';
import { decodeObject, encodeObject } from '../../src/objects/record.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { newHsm, settingsOf } from '../support/backups.js';
import { loggedIn } from '../support/in-process.js';
import { manyKeys } from '../support/many-keys.js';

const KEYS = 20;

/** Versions of records as earlier builds wrote them, from the newest: docs/STORAGE.md, "Object records". */
const earlierForms: Readonly<Record<string, (record: Buffer) => Buffer>> = {
  '2': (record) => encodeObject(decodeObject(record)),
  // Neither a version of the object, which is 1.
  '1': (record) => {
    const plain = encodeObject(decodeObject(record));
    return Buffer.concat([Buffer.from([1]), plain.subarray(1, 9), plain.subarray(13)]);
  },
};

const recordOf = (store: RecordStore, handle: number): Buffer => store.get('objects', handleKey(handle))!;

describe('a store of an earlier build', () => {
  for (const [version, form] of Object.entries(earlierForms)) {
    describe(`with records of version ${version}`, () => {
      let store: RecordStore;
      let handles: number[];
      let digests: Buffer;
      let hsm: Hsm;

      before(async () => {
        store = openMemoryStore();
        const before = await newHsm({}, store);
        handles = await manyKeys(before, KEYS);
        digests = before.objects.versions.digests();
        for (const handle of handles) {
          expect(recordOf(store, handle)[0]).to.equal(4);
          await store.write([
            { table: 'objects', key: handleKey(handle), value: form(recordOf(store, handle)) },
          ]);
        }
        hsm = await Hsm.open(store, settingsOf({}), silentLog);
      });

      it('has all keys, which are found, read and used', async () => {
        const user = await loggedIn(hsm, 'crypto_user', 'CU');
        for (const [at, handle] of handles.entries()) {
          const template = [attribute(CKA.CKA_LABEL, `key ${at}`)];
          expect(await user.send('findObjects', { template })).to.deep.equal([handle]);
        }
        const mechanism = { type: CKM.CKM_AES_CBC, parameter: Buffer.alloc(16) };
        const input = Buffer.alloc(16);
        const output = await user.send('encrypt', { handle: handles[0]!, mechanism, input });
        expect(output).to.not.deep.equal(input);
      });

      it('tells other HSMs of the same objects', async () => {
        expect(hsm.objects.versions.digests()).to.deep.equal(digests);
        for (const handle of handles)
          expect(hsm.objects.versions.has(hsm.objects.get(handle)!.object)).to.equal(true);
      });

      it('has a record of version 6 when a key is changed, which says what was', async () => {
        const [first, second] = handles as [number, number];
        const user = await loggedIn(hsm, 'crypto_user', 'CU');
        const template = [attribute(CKA.CKA_LABEL, 'changed')];
        await user.send('setAttributes', { handle: first, template });
        expect(recordOf(store, first)[0]).to.equal(6);
        const { version: changes, marks } = decodeObject(recordOf(store, first));
        expect(changes).to.equal(2);
        expect(marks!.attributes).to.deep.equal(new Map([[CKA.CKA_LABEL, 2]]));
        expect(recordOf(store, second)[0]).to.equal(Number(version));
      });
    });
  }

  it('is what backups are read by: those of keys that nobody has changed are of no later version than 3', async () => {
    const store = openMemoryStore();
    await manyKeys(await newHsm({}, store), KEYS);
    let objects = 0;
    for await (const { table, value } of recordsOf(store.snapshot())) {
      if (table !== 'objects') continue;
      expect(value[0]).to.equal(2);
      objects++;
    }
    expect(objects).to.equal(KEYS);
  });
});
