import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { Hsm, HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { backupOfHsm, newBackupKeys, newHsm, restoredHsm } from '../support/backups.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';

const template = [attribute(CKA.CKA_VALUE_LEN, 32), attribute(CKA.CKA_TOKEN, true)];
const bob = { name: 'bob', role: 'CU', password: PASSWORD } as const;

/** A user deleted while an HSM is away, and made again for somebody else. "Users and policies never sync automatically" (reference
 * management-tools, section 7.1): the HSM that comes back still has the former one. */
describe('a user made again under the name of a deleted one', () => {
  let cluster: Cluster;
  let hsms: readonly [Hsm, Hsm];
  let admins: readonly [HsmConnection, HsmConnection];

  beforeEach(async () => {
    cluster = await memoryCluster({ hsms: 2 });
    hsms = cluster.hsms as unknown as [Hsm, Hsm];
    admins = [await loggedIn(hsms[0], 'admin', 'CO'), await loggedIn(hsms[1], 'admin', 'CO')];
    for (const admin of admins) await admin.send('createUser', bob);
  });

  /** A client that reaches one HSM only, as while the other one is away. */
  async function clientOn(at: 0 | 1, name: string): Promise<ClusterClient> {
    const client = cluster.connect({ uses: (hsm) => hsm === hsms[at], keyAvailability: 'off' });
    await client.login(name, PASSWORD);
    return client;
  }

  /** A key that only one HSM has. */
  async function keyOn(at: 0 | 1, name: string): Promise<number> {
    const client = await clientOn(at, name);
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, template);
    await client.logout();
    return handle;
  }

  async function makeAgain(at: 0 | 1): Promise<void> {
    await admins[at].send('deleteUser', bob);
    await admins[at].send('createUser', bob);
  }

  async function found(at: 0 | 1): Promise<readonly number[]> {
    const client = await clientOn(at, 'bob');
    const handles = await client.findObjects([]);
    await client.logout();
    return handles;
  }

  const catchUp = () => Promise.all(hsms.map((hsm) => hsm.synchronize()));

  it('does not get the former one’s keys from an HSM that was away, nor gives that one its own', async () => {
    const former = await keyOn(1, 'bob');
    await makeAgain(0);
    const later = await keyOn(0, 'bob');
    await catchUp();
    expect([await found(0), await found(1)]).to.deep.equal([[later], [former]]);
    const masked = await admins[1].send('extractMaskedObject', { handle: former });
    expect(await codeOf(() => admins[0].send('insertMaskedObject', { masked })), 'syncKey').to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    const user = await loggedIn(hsms[0], 'bob', 'CU');
    for (const name of ['insertMaskedObject', 'copyMaskedObject'] as const)
      expect(await codeOf(() => user.send(name, { masked })), name).to.equal('CKR_ACTION_PROHIBITED');
  });

  it('does not get what was shared with the former one', async () => {
    const owner = cluster.connect();
    await owner.login('crypto_user', PASSWORD);
    const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, template);
    await (await clientOn(1, 'crypto_user')).shareKey(handle, 'bob');
    await makeAgain(0);
    await catchUp();
    expect(hsms[0].objects.get(handle)!.object.version).to.equal(2);
    expect([await found(0), await found(1)]).to.deep.equal([[], [handle]]);
    const info = await (await loggedIn(hsms[0], 'admin', 'CO')).send('getKeyInfo', { handle });
    expect(info.sharedWith).to.deep.equal([{ id: 0, name: 'bob' }]);
    // Taken back by its name, whoever has it now.
    await owner.unshareKey(handle, 'bob');
    await catchUp();
    expect(await found(1)).to.deep.equal([]);
  });

  it('is one user again when every HSM has made it again: its keys come to all of them', async () => {
    await makeAgain(0);
    const later = await keyOn(0, 'bob');
    await catchUp();
    expect(await found(1)).to.deep.equal([]);
    await makeAgain(1);
    await catchUp();
    expect([await found(0), await found(1)]).to.deep.equal([[later], [later]]);
  });

  it('is one user again when it is copied from one HSM to the other', async () => {
    await makeAgain(0);
    const later = await keyOn(0, 'bob');
    await admins[1].send('deleteUser', bob);
    const masked = await admins[0].send('extractMaskedUser', bob);
    await admins[1].send('insertMaskedUser', { masked });
    await catchUp();
    expect(await found(1)).to.deep.equal([later]);
    expect(await admins[0].send('getKeysHash', undefined)).to.deep.equal(
      await admins[1].send('getKeysHash', undefined),
    );
  });

  it('makes no token keys while HSMs have different users of its name, and is told why', async () => {
    await makeAgain(0);
    const client = cluster.connect();
    await client.login('bob', PASSWORD);
    let refused: unknown;
    try {
      await client.generateKey(CKM.CKM_AES_KEY_GEN, template);
    } catch (error) {
      refused = error;
    }
    expect(String(refused)).to.match(/belongs to another user of the name bob than the one here/);
    expect(hsms.map((hsm) => hsm.objects.count)).to.deep.equal([0, 0]);
  });

  it('is the same on HSMs of which only one knows of the former one, if it is created as the tools do', async () => {
    await makeAgain(0);
    for (const admin of admins) await admin.send('deleteUser', bob);
    // HSM 1 has deleted two of that name, HSM 2 one.
    const next = await Promise.all(admins.map((admin) => admin.send('nextGeneration', { name: 'BOB' })));
    expect(next).to.deep.equal([{ generation: 2 }, { generation: 1 }]);
    for (const admin of admins) await admin.send('createUser', { ...bob, generation: 2 });
    const handle = await keyOn(0, 'bob');
    await catchUp();
    expect(await found(1)).to.deep.equal([handle]);
    expect(await codeOf(() => admins[0].send('createUser', { ...bob, generation: 2 ** 31 }))).to.equal(
      'CKR_ARGUMENTS_BAD',
    );
  });

  it('stays another one in an HSM that is made from a backup', async () => {
    const backupKeys = newBackupKeys();
    const original = await newHsm({ backupKeys });
    const restored = await restoredHsm(await backupOfHsm(original), { backupKeys });
    const admin = await loggedIn(original, 'admin', 'CO');
    const owner = await loggedIn(original, 'other_user', 'CU');
    const created = await owner.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template });
    await owner.send('logout', undefined);
    await admin.send('deleteUser', { name: 'other_user', role: 'CU' });
    const later = await restoredHsm(await backupOfHsm(original), { backupKeys });
    const insertInto = async (hsm: Hsm): Promise<string> => {
      const user = await loggedIn(hsm, 'other_user', 'CU');
      return codeOf(() => user.send('insertMaskedObject', { masked: created.masked! }));
    };
    expect(await insertInto(restored), 'the former user').to.equal('CKR_OK');
    await (await loggedIn(later, 'admin', 'CO')).send('createUser', { ...bob, name: 'other_user' });
    expect(await insertInto(later), 'the later user').to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(() => backupOfHsm(later))).to.equal('CKR_OK');
  });
});
