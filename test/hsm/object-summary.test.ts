import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { Hsm } from '../../src/hsm/hsm.js';
import { settingKey } from '../../src/hsm/setting-rows.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { newHsm, settingsOf } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { loggedIn } from '../support/in-process.js';
import { manyKeys } from '../support/many-keys.js';

/** A disk, which stays when an HSM closes it; and which tables the HSM went through from end to end. */
function disk(): { store: RecordStore; scanned: string[] } {
  const memory = openMemoryStore();
  const scanned: string[] = [];
  const store: RecordStore = {
    ...memory,
    keys: (table, prefix) => {
      if (prefix === undefined) scanned.push(table);
      return memory.keys(table, prefix);
    },
    count: (table, prefix) => {
      scanned.push(table);
      return memory.count(table, prefix);
    },
    close: async () => undefined,
  };
  return { store, scanned };
}

const reopened = (store: RecordStore): Promise<Hsm> => Hsm.open(store, settingsOf({}), silentLog);
const stateOf = ({ objects, counts }: Hsm) => ({
  digests: objects.versions.digests().toString('hex'),
  count: objects.count,
  keys: counts.keys,
});

/** Makes three keys and destroys one. */
async function leaveTwoOfThree(hsm: Hsm): Promise<void> {
  const [first] = await manyKeys(hsm, 3);
  await (await loggedIn(hsm, 'crypto_user', 'CU')).send('destroyObject', { handle: first! });
}

describe('an HSM that starts again', () => {
  it('looks at no object where it was ended in order', async () => {
    const { store, scanned } = disk();
    const hsm = await newHsm({}, store);
    await manyKeys(hsm, 5);
    const before = stateOf(hsm);
    expect(before.keys).to.equal(5);
    await hsm.close();
    scanned.length = 0;
    const again = await reopened(store);
    expect(scanned.filter((table) => table !== 'users')).to.deep.equal([]);
    expect(stateOf(again)).to.deep.equal(before);
  });

  it('counts again after a crash, also where an earlier run was ended in order', async () => {
    const { store } = disk();
    await (await newHsm({}, store)).close();
    const crashed = await reopened(store);
    await leaveTwoOfThree(crashed);
    const again = await reopened(store);
    expect(stateOf(again)).to.deep.equal(stateOf(crashed));
    expect(again.objects.count).to.equal(2);
  });

  it('has counted what came and went before it was ended', async () => {
    const { store } = disk();
    const hsm = await newHsm({}, store);
    await leaveTwoOfThree(hsm);
    await hsm.close();
    const fromSummary = await reopened(store);
    const counted = await reopened(store);
    expect(stateOf(fromSummary)).to.deep.equal(stateOf(counted));
    expect(fromSummary.objects.count).to.equal(2);
  });

  it('counts again where an earlier build ended it in order', async () => {
    const { store, scanned } = disk();
    const hsm = await newHsm({}, store);
    await leaveTwoOfThree(hsm);
    const before = stateOf(hsm);
    await hsm.close();
    const key = settingKey('object-summary');
    const { greatest, ...earlier } = JSON.parse(store.get('settings', key)!.toString());
    expect(greatest).to.be.greaterThan(0);
    await store.write([{ table: 'settings', key, value: Buffer.from(JSON.stringify(earlier)) }]);
    scanned.length = 0;
    expect(stateOf(await reopened(store))).to.deep.equal(before);
    expect(scanned).to.include('versions');
  });

  it('takes no copy of the last key, which was destroyed, in order or not', async () => {
    const { store } = disk();
    const hsm = await newHsm({}, store);
    const [handle] = await manyKeys(hsm, 1);
    const user = await loggedIn(hsm, 'crypto_user', 'CU');
    const masked = await user.send('extractMaskedObject', { handle: handle! });
    await user.send('destroyObject', { handle: handle! });
    const copied = async (by: Hsm) => {
      const other = await loggedIn(by, 'crypto_user', 'CU');
      return codeOf(() => other.send('insertMaskedObject', { masked: Buffer.from(masked) }));
    };
    expect(await copied(hsm)).to.equal('CKR_ACTION_PROHIBITED');
    const crashed = await reopened(store);
    expect(await copied(crashed)).to.equal('CKR_ACTION_PROHIBITED');
    await crashed.close();
    expect(await copied(await reopened(store))).to.equal('CKR_ACTION_PROHIBITED');
  });

  it('is missing nothing that was written while it was ended, which nobody is told is done', async () => {
    const { store } = disk();
    const hsm = await newHsm({}, store);
    await manyKeys(hsm, 2);
    const user = await loggedIn(hsm, 'crypto_user', 'CU');
    const [handle] = await user.send('findObjects', { template: [] });
    const destroying = Promise.resolve(user.send('destroyObject', { handle: handle! }));
    const closing = hsm.close();
    const late = await codeOf(() => manyKeys(hsm, 1));
    await Promise.all([destroying, closing]);
    expect(late).to.equal('CKR_DEVICE_REMOVED');
    const again = await reopened(store);
    expect(again.objects.count).to.equal(1);
    expect(stateOf(again)).to.deep.equal(stateOf(await reopened(store)));
  });
});
