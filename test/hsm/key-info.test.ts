import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { HsmConnection } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';

describe('what administrators see of keys', () => {
  let cluster: Cluster;
  let admin: HsmConnection;
  let owner: HsmConnection;
  let other: HsmConnection;
  let handles: readonly number[];

  before(async () => {
    cluster = await memoryCluster({ hsms: 1 });
    const client = cluster.connect({ keyAvailability: 'off' });
    await client.login('crypto_user', PASSWORD);
    const generate = (label: string) =>
      client.generateKey(CKM.CKM_AES_KEY_GEN, [
        attribute(CKA.CKA_VALUE_LEN, 32),
        attribute(CKA.CKA_TOKEN, true),
        attribute(CKA.CKA_LABEL, label),
      ]);
    handles = [await generate('one'), await generate('two')];
    await client.shareKey(handles[1]!, 'other_user');
    const [hsm] = cluster.hsms;
    admin = await loggedIn(hsm!, 'admin', 'CO');
    owner = await loggedIn(hsm!, 'crypto_user', 'CU');
    other = await loggedIn(hsm!, 'other_user', 'CU');
  });

  after(() => cluster.close());

  it('is whose they are, who shares them and what they are called', async () => {
    expect(await admin.send('getKeyInfo', { handle: handles[1]! })).to.deep.equal({
      owner: { id: 3, name: 'crypto_user' },
      sharedWith: [{ id: 4, name: 'other_user' }],
      token: true,
      label: 'two',
      materialBytes: 32,
      quorum: { manage: 0, use: 0 },
    });
    expect(await codeOf(() => admin.send('getAttributes', { handle: handles[1]!, types: [] }))).to.equal(
      'CKR_USER_NOT_LOGGED_IN',
    );
  });

  it("is found by a user's name, and tells what is shared from what is owned", async () => {
    const found = (user: string | undefined, template = [] as ReturnType<typeof attribute>[]) =>
      admin.send('findAllKeys', { user, template });
    expect(await found('other_user')).to.deep.equal([{ handle: handles[1], shared: true, label: 'two' }]);
    expect(await found('CRYPTO_USER')).to.have.length(2);
    expect(await found(undefined, [attribute(CKA.CKA_LABEL, 'one')])).to.deep.equal([
      { handle: handles[0], shared: false, label: 'one' },
    ]);
    expect(await codeOf(() => found('nobody'))).to.equal('CKR_USER_TYPE_INVALID');
  });

  it('a crypto user sees of its own keys only', async () => {
    expect((await other.send('getKeyInfo', { handle: handles[1]! })).owner.name).to.equal('crypto_user');
    expect(await codeOf(() => other.send('getKeyInfo', { handle: handles[0]! }))).to.equal(
      'CKR_KEY_HANDLE_INVALID',
    );
    // Reference management-tools, section 4.2: findAllKeys is for "CO, PCO, AU".
    for (const user of ['crypto_user', 'other_user', undefined])
      expect(await codeOf(() => other.send('findAllKeys', { user, template: [] }))).to.equal(
        'CKR_ACTION_PROHIBITED',
      );
  });

  it('and of an HSM anybody may know which it is', async () => {
    const info = await cluster.hsms[0]!.connect().send('getHsmInfo', undefined);
    expect(info).to.deep.include({ hsmType: 'hsm2m.medium', mode: 'FIPS' });
    expect(info.serialNumber).to.match(/^5\.3G1941-ICM\d{6}$/);
  });

  it('is a hash that is equal on HSMs with the same users, keys, owners and shares', async () => {
    const before = await admin.send('getKeysHash', undefined);
    expect(await owner.send('getKeysHash', undefined)).to.deep.equal(before);
    await owner.send('unshareKey', { handle: handles[1]!, user: 'other_user' });
    expect(await admin.send('getKeysHash', undefined)).to.not.deep.equal(before);
    await owner.send('shareKey', { handle: handles[1]!, user: 'other_user' });
    expect(await admin.send('getKeysHash', undefined)).to.deep.equal(before);
    await admin.send('createUser', { name: 'more', role: 'CU', password: PASSWORD });
    expect(await admin.send('getKeysHash', undefined)).to.not.deep.equal(before);
  });
});
