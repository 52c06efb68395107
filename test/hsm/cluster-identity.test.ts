import { expect } from 'chai';
import { silentLog } from '../../src/base/log.js';
import { newHsmIdentity, newRoots } from '../../src/control-plane/identity/hardware.js';
import { Hsm } from '../../src/hsm/hsm.js';
import { newMaskingKey } from '../../src/hsm/masking.js';
import { settingKey } from '../../src/hsm/setting-rows.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import type { RecordStore } from '../../src/store/record-store.js';
import { backupOfHsm, newBackupKeys, restoredHsm, settingsOf } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';

const set = (store: RecordStore, name: 'cluster-key' | 'cluster-trust' | 'hsm-identity', value: Buffer) =>
  store.write([{ table: 'settings', key: settingKey(name), value }]);

/** A certificate that the hardware signed for the cluster's key stands in for the one that the owner signs. */
describe("a cluster's key and certificate", () => {
  const options = { backupKeys: newBackupKeys() };
  const get = (store: RecordStore, name: Parameters<typeof settingKey>[0]) =>
    store.get('settings', settingKey(name));

  async function clusterHsm(): Promise<{ store: RecordStore; hsm: Hsm; trust: Buffer; clusterKey: Buffer }> {
    const kind = { hsmType: 'hsm2m.medium', mode: 'FIPS' } as const;
    const board = { serial: 'SIM0001', partition: 1 };
    const { identity, clusterKey } = await newHsmIdentity(await newRoots(), kind, board);
    const store = openMemoryStore();
    const users = [{ name: 'admin', role: 'PRECO', passwordHash: await hashNewPassword(PASSWORD) }] as const;
    await set(store, 'cluster-key', clusterKey);
    await set(store, 'hsm-identity', Buffer.from(JSON.stringify(identity)));
    await Hsm.provision(store, { maskingKey: newMaskingKey(), users });
    const hsm = await Hsm.open(store, settingsOf(options), silentLog);
    const { hsmCertificate: certificate } = identity;
    return {
      store,
      hsm,
      trust: Buffer.from(JSON.stringify({ certificate, trustAnchor: certificate })),
      clusterKey,
    };
  }

  it('are on the HSMs that are restored from its backup, byte by byte, without what one HSM shows of itself', async () => {
    const { store, hsm, trust, clusterKey } = await clusterHsm();
    const [before, after] = [openMemoryStore(), openMemoryStore()];
    await restoredHsm(await backupOfHsm(hsm), options, before);
    expect(get(before, 'cluster-key')).to.deep.equal(clusterKey);
    expect(get(before, 'hsm-identity')).to.equal(undefined);
    await set(store, 'cluster-trust', trust);
    await restoredHsm(await backupOfHsm(hsm), options, after);
    expect(get(after, 'cluster-key')).to.deep.equal(clusterKey);
    expect(get(after, 'cluster-trust')).to.deep.equal(trust);
  });

  it('belong together, or there is no backup', async () => {
    const [one, other] = [await clusterHsm(), await clusterHsm()];
    await set(one.store, 'cluster-trust', other.trust);
    expect(await codeOf(() => backupOfHsm(one.hsm))).to.equal('CORRUPT_STORE');
  });
});
