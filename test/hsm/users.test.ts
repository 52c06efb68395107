import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import { Hsm, type HsmConnection } from '../../src/hsm/hsm.js';
import { hashNewPassword } from '../../src/hsm/user-rules.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { openMemoryStore } from '../../src/store/memory-store.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, memoryCluster, PASSWORD } from '../support/in-process.js';

const NEW_PASSWORD = 'another password';

describe('users of an HSM', () => {
  let cluster: Cluster;
  let hsm: Hsm;
  let admin: HsmConnection;

  beforeEach(async () => {
    cluster = await memoryCluster({ hsms: 1 });
    [hsm] = cluster.hsms as [Hsm];
    admin = await loggedIn(hsm, 'admin', 'CO');
  });

  const create =
    (name: string, role: 'CO' | 'CU' | 'AU' | 'PRECO' = 'CU', password = PASSWORD) =>
    () =>
      admin.send('createUser', { name, role, password });
  const login =
    (name: string, password: string, role: 'CO' | 'CU' | 'PRECO' | 'AU' = 'CU') =>
    () =>
      hsm.connect().send('login', { name, role, password });

  it('have the documented ids: 1 admin, 2 app_user, then in the order of creation, never again', async () => {
    const { id } = await admin.send('createUser', { name: 'fifth', role: 'CU', password: PASSWORD });
    expect(id).to.equal(5);
    await admin.send('deleteUser', { name: 'fifth', role: 'CU' });
    await create('sixth', 'CO')();
    const users = await admin.send('listUsers', undefined);
    expect(users.map((user) => [user.id, user.role, user.name])).to.deep.equal([
      [1, 'CO', 'admin'],
      [2, 'AU', 'app_user'],
      [3, 'CU', 'crypto_user'],
      [4, 'CU', 'other_user'],
      [6, 'CO', 'sixth'],
    ]);
  });

  it('have names of 1 to 31 letters, digits and underscores, which are not case-sensitive', async () => {
    const refused = ['', 'x'.repeat(32), 'with space', 'a:b', 'Zoë', 'a-b', 'nul\0', '../x'];
    for (const name of refused) expect(await codeOf(create(name)), name).to.equal('CKR_ARGUMENTS_BAD');
    for (const name of ['A', 'x'.repeat(31), 'With_1'])
      expect(await codeOf(create(name)), name).to.equal('CKR_OK');
    expect(await codeOf(create('WITH_1', 'CO'))).to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(login('wITH_1', PASSWORD))).to.equal('CKR_OK');
    expect((await admin.send('getUserInfo', { name: 'WITH_1' })).name).to.equal('with_1');
  });

  it('have passwords of 8 to 32 characters, of 7 on an hsm1.medium', async () => {
    expect(await codeOf(create('a', 'CU', '1234567'))).to.equal('CKR_PIN_LEN_RANGE');
    expect(await codeOf(create('a', 'CU', '12345678'))).to.equal('CKR_OK');
    expect(await codeOf(create('b', 'CU', 'x'.repeat(33)))).to.equal('CKR_PIN_LEN_RANGE');
    expect(await codeOf(create('b', 'CU', 'x'.repeat(32)))).to.equal('CKR_OK');
    expect(await codeOf(create('c', 'CU', '12345678\0'))).to.equal('CKR_PIN_INVALID');
    const older = (await memoryCluster({ hsms: 1, hsmType: 'hsm1.medium' })).hsms[0]!;
    const olderAdmin = await loggedIn(older, 'admin', 'CO');
    const request = { name: 'a', role: 'CU', password: '1234567' } as const;
    expect(await codeOf(() => olderAdmin.send('createUser', request))).to.equal('CKR_OK');
    const shorter = { ...request, name: 'b', password: '123456' };
    expect(await codeOf(() => olderAdmin.send('createUser', shorter))).to.equal('CKR_PIN_LEN_RANGE');
  });

  it('are COs and CUs: neither an AU nor a PRECO is created or deleted', async () => {
    for (const role of ['AU', 'PRECO'] as const)
      expect(await codeOf(create('other', role))).to.equal('CKR_USER_TYPE_INVALID');
    expect(await codeOf(() => admin.send('deleteUser', { name: 'app_user', role: 'AU' }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
  });

  it('are no more than the type of HSM has room for', async () => {
    const older = (await memoryCluster({ hsms: 1, hsmType: 'hsm1.medium' })).hsms[0]!;
    const passwordHash = await hashNewPassword(PASSWORD);
    const add = (name: string) =>
      older.users.create({ name, role: 'CU', passwordHash }, async () => undefined);
    while (older.users.count() < 250) await add(`u${older.users.count()}`);
    expect(await codeOf(() => add('one_too_many'))).to.equal('CKR_DEVICE_MEMORY');
    expect(hsm.users.max).to.equal(1024);
  });

  it('begin with a PRECO whose first change of password makes it a CO', async () => {
    const store = openMemoryStore();
    const users = [
      { name: 'admin', role: 'PRECO' as const, passwordHash: await hashNewPassword('password') },
    ];
    await Hsm.provision(store, { maskingKey: Buffer.alloc(32, 1), users });
    const fresh = await Hsm.open(store, hsm.settings, hsm.log);
    const preco = await loggedIn(fresh, 'admin', 'PRECO', 'password');
    const creation = { name: 'early', role: 'CU', password: PASSWORD } as const;
    expect(await codeOf(() => preco.send('createUser', creation))).to.equal('CKR_USER_NOT_LOGGED_IN');
    expect(fresh.users.find('admin')!.role).to.equal('PRECO');
    await preco.send('changePassword', { name: 'admin', role: 'PRECO', password: NEW_PASSWORD });
    expect(fresh.users.find('admin')!.role).to.equal('CO');
    expect((await preco.send('getUserInfo', { name: 'admin' })).role).to.equal('CO');
    expect(await codeOf(() => preco.send('createUser', creation))).to.equal('CKR_OK');
    // "loginHSM PRECO admin <NEW>" of the walk-through still succeeds.
    for (const role of ['PRECO', 'CO'] as const)
      expect(await codeOf(() => loggedIn(fresh, 'admin', role, NEW_PASSWORD))).to.equal('CKR_OK');
    expect(await codeOf(() => loggedIn(fresh, 'admin', 'CO', 'password'))).to.equal('CKR_PIN_INCORRECT');
  });

  it('are found as they are, whoever has asked for them before', async () => {
    const found = () => hsm.users.find('Crypto_User');
    const former = found()!;
    expect(hsm.users.owner('crypto_user')).to.deep.equal(former);
    await admin.send('deleteUser', { name: 'crypto_user', role: 'CU' });
    expect([found(), hsm.users.owner('crypto_user')]).to.deep.equal([undefined, undefined]);
    await create('crypto_user')();
    expect(found()).to.include({ name: 'crypto_user', role: 'CU', identity: 'crypto_user#1' });
    expect(found()!.id).to.be.greaterThan(former.id);
    expect(hsm.users.owner('crypto_user')).to.equal(undefined);
    expect(hsm.users.owner('crypto_user#1')).to.deep.equal(found());
  });

  it('change their own password, and no other', async () => {
    const user = await loggedIn(hsm, 'crypto_user', 'CU');
    const change = (name: string) => () =>
      user.send('changePassword', { name, role: 'CU', password: NEW_PASSWORD });
    for (const name of ['other_user', 'nobody', 'app_user', 'admin'])
      expect(await codeOf(change(name)), name).to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(change('crypto_user'))).to.equal('CKR_OK');
    user.close();
    expect(await codeOf(login('crypto_user', PASSWORD))).to.equal('CKR_PIN_INCORRECT');
    expect(await codeOf(login('crypto_user', NEW_PASSWORD))).to.equal('CKR_OK');
  });

  it('are locked after more than five wrong passwords, and unlocked by a new one from a CO', async () => {
    for (let attempt = 0; attempt < 6; attempt++)
      expect(await codeOf(login('crypto_user', 'a wrong password'))).to.equal('CKR_PIN_INCORRECT');
    const info = await admin.send('getUserInfo', { name: 'crypto_user' });
    expect([info.wrongPasswords, info.locked]).to.deep.equal([6, true]);
    expect(await codeOf(login('crypto_user', PASSWORD))).to.equal('CKR_PIN_LOCKED');
    await admin.send('changePassword', { name: 'crypto_user', role: 'CU', password: NEW_PASSWORD });
    expect((await admin.send('getUserInfo', { name: 'crypto_user' })).locked).to.equal(false);
    expect(await codeOf(login('crypto_user', NEW_PASSWORD))).to.equal('CKR_OK');
  });

  it('are neither deleted nor given a password while logged in through another client', async () => {
    const user = await loggedIn(hsm, 'other_user', 'CU');
    const whom = { name: 'other_user', role: 'CU' } as const;
    const change = () => admin.send('changePassword', { ...whom, password: NEW_PASSWORD });
    const remove = () => admin.send('deleteUser', whom);
    for (const attempt of [change, remove]) expect(await codeOf(attempt)).to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(() => admin.send('deleteUser', { name: 'admin', role: 'CO' }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    user.close();
    for (const attempt of [change, remove]) expect(await codeOf(attempt)).to.equal('CKR_OK');
  });

  it('do not come in on a connection that was closed meanwhile', async () => {
    const connection = hsm.connect();
    const late = connection.send('login', { name: 'crypto_user', password: PASSWORD, role: 'CU' });
    connection.close();
    expect(await codeOf(() => late)).to.equal('CKR_DEVICE_REMOVED');
    expect(await codeOf(() => admin.send('deleteUser', { name: 'crypto_user', role: 'CU' }))).to.equal(
      'CKR_OK',
    );
  });

  it('are not deleted while they own keys, and leave no shares to a later user of their name', async () => {
    const owner = cluster.connect({ keyAvailability: 'off' });
    await owner.login('crypto_user', PASSWORD);
    const template = [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_TOKEN, true),
      attribute(CKA.CKA_LABEL, 'shared'),
    ];
    const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, template);
    await owner.shareKey(handle, 'Other_User');
    owner.close();
    expect(await codeOf(() => admin.send('deleteUser', { name: 'crypto_user', role: 'CU' }))).to.equal(
      'CKR_ACTION_PROHIBITED',
    );
    await admin.send('deleteUser', { name: 'other_user', role: 'CU' });
    await create('other_user')();
    const later = await loggedIn(hsm, 'other_user', 'CU');
    expect(await later.send('findObjects', { template: [] })).to.deep.equal([]);
    expect(hsm.objects.get(handle)!.object.sharedWith).to.deep.equal([]);
  });

  it('are told apart by role: a CO does not log in as a CU, and the service account with no password at all', async () => {
    expect(await codeOf(login('admin', PASSWORD, 'CU'))).to.equal('CKR_USER_TYPE_INVALID');
    expect(await codeOf(login('crypto_user', PASSWORD, 'PRECO'))).to.equal('CKR_USER_TYPE_INVALID');
    expect(await codeOf(login('nobody', PASSWORD, 'CU'))).to.equal('CKR_USER_PIN_NOT_INITIALIZED');
    for (const password of ['', PASSWORD, 'password'])
      expect(await codeOf(login('app_user', password, 'AU'))).to.equal('CKR_PIN_INCORRECT');
  });

  it('of an HSM that an earlier version made get their ids when it is opened', async () => {
    const store = openMemoryStore();
    const passwordHash = await hashNewPassword(PASSWORD);
    const earlier = [
      ['crypto_user', 'CU'],
      ['admin', 'CO'],
    ].map(([name, role]) => ({ name, role, passwordHash, wrongPasswords: 2 }));
    await store.write([
      { table: 'settings', key: Buffer.from('masking-key'), value: Buffer.alloc(32, 9) },
      ...earlier.map((user) => ({
        table: 'users' as const,
        key: Buffer.from(user.name!),
        value: Buffer.from(JSON.stringify(user)),
      })),
    ]);
    for (let opened = 0; opened < 2; opened++) {
      const migrated = await Hsm.open(store, hsm.settings, hsm.log);
      expect(
        migrated.users.list().map(({ id, name, wrongPasswords }) => [id, name, wrongPasswords]),
      ).to.deep.equal([
        [1, 'admin', 2],
        [2, 'app_user', 0],
        [3, 'crypto_user', 2],
      ]);
    }
    const migrated = await Hsm.open(store, hsm.settings, hsm.log);
    await loggedIn(migrated, 'crypto_user', 'CU');
    expect(migrated.users.info('crypto_user')?.wrongPasswords, 'after a login').to.equal(0);
  });
});
