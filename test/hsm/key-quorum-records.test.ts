import { expect } from 'chai';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { backupOfHsm, newBackupKeys, newHsm, restoredHsm } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';
import { newQuorumKey, secretTemplate, twoOfTwo } from '../support/key-quorums.js';

const access = { sharedWith: ['other_user'], quorum: twoOfTwo };
const encrypt = (connection: HsmConnection, handle: number) =>
  codeOf(() =>
    connection.send('encrypt', {
      handle,
      mechanism: { type: CKM.CKM_AES_CBC, parameter: Buffer.alloc(16) },
      input: Buffer.alloc(16),
    }),
  );

describe("a key's quorum", () => {
  async function expectKept(hsm: Hsm, handle: number): Promise<void> {
    const user = await loggedIn(hsm, 'crypto_user', 'CU');
    const info = await user.send('getKeyInfo', { handle });
    expect(info.quorum).to.deep.equal(twoOfTwo);
    expect(info.sharedWith.map(({ name }) => name)).to.deep.equal(['other_user']);
    expect(await encrypt(user, handle)).to.equal('CKR_FUNCTION_REJECTED');
  }

  it('is on all HSMs of the cluster, also on one that missed the key', async () => {
    const cluster = await memoryCluster({ hsms: 3 });
    const client = cluster.connect({
      uses: (hsm) => hsm !== cluster.hsms[2],
    });
    await client.login('crypto_user', PASSWORD);
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, secretTemplate(), undefined, access);
    await Promise.all(cluster.hsms.map((hsm) => hsm.synchronize()));
    for (const hsm of cluster.hsms) await expectKept(hsm, handle);
    const digests = cluster.hsms.map((hsm) => hsm.objects.versions.digests().toString('hex'));
    expect(new Set(digests).size).to.equal(1);
  });

  it('is in masked objects, which nobody changes', async () => {
    const [original, clone] = (await memoryCluster({ hsms: 2 })).hsms as [Hsm, Hsm];
    const user = await loggedIn(original, 'crypto_user', 'CU');
    const handle = await newQuorumKey(user, access);
    const masked = Buffer.from(await user.send('extractMaskedObject', { handle }));
    const there = await loggedIn(clone, 'crypto_user', 'CU');
    for (let at = 13; at < 40; at++) {
      const changed = Buffer.from(masked);
      changed[at]! ^= 1;
      expect(await codeOf(() => there.send('insertMaskedObject', { masked: changed }))).to.equal(
        'CKR_FUNCTION_FAILED',
      );
    }
    await there.send('insertMaskedObject', { masked });
    await expectKept(clone, handle);
  });

  it('is in a masked copy only where enough of its users are', async () => {
    const [original, clone] = (await memoryCluster({ hsms: 2 })).hsms as [Hsm, Hsm];
    const user = await loggedIn(original, 'crypto_user', 'CU');
    const masked = Buffer.from(
      await user.send('extractMaskedObject', { handle: await newQuorumKey(user, access) }),
    );
    const admin = await loggedIn(clone, 'admin', 'CO');
    await admin.send('deleteUser', { name: 'other_user', role: 'CU' });
    const there = await loggedIn(clone, 'crypto_user', 'CU');
    expect(await codeOf(() => there.send('copyMaskedObject', { masked }))).to.equal('CKR_ARGUMENTS_BAD');
  });

  it('is in backups, and in stores that are opened again', async () => {
    const backupKeys = newBackupKeys();
    const store = openMemoryStore();
    const hsm = await newHsm({ backupKeys }, store);
    const user = await loggedIn(hsm, 'crypto_user', 'CU');
    const handle = await newQuorumKey(user, access);
    await user.send('destroyObject', { handle: await newQuorumKey(user, access) });
    await expectKept(await restoredHsm(await backupOfHsm(hsm), { backupKeys }), handle);
    await expectKept(await Hsm.open(store, hsm.settings, hsm.log), handle);
  });
});
