import { expect } from 'chai';
import type { Failure } from '../../src/base/errors.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { RemoteCluster } from '../../src/cluster/remote-cluster.js';
import { type Slot, Token } from '../../src/cryptoki/slot.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const aes = (token: boolean, label = 'key') => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
  attribute(CKA.CKA_LABEL, label),
];

/** Reference 14.3: "one HSM down: requests go to another HSM, token keys keep working, that HSM's session keys are lost". */
describe('a client of HSMs in other processes', function () {
  this.timeout(60_000);
  let network: NetworkCluster;
  let remote: RemoteCluster;
  let client: ClusterClient;
  const patienceMs = 1_000;

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 3 });
    remote = await network.open({ patienceMs });
    client = remote.connect({ keyAvailability: 'off' });
    await until(() => client.up.length === 3);
    await client.login('crypto_user', PASSWORD);
  });

  afterEach(async () => {
    client.close();
    await network.close();
  });

  const generate = (token = true) => client.generateKey(CKM.CKM_AES_KEY_GEN, aes(token));
  const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
  const encrypt = async (handle: number) =>
    client.send('encrypt', { handle, mechanism, input: Buffer.alloc(16) });
  const onEach = (handle: number) => network.cluster.hsms.map((hsm) => hsm.objects.get(handle) !== undefined);
  const isUp = (id: string) => () => client.up.includes(id);
  const isDown = (id: string) => () => !client.up.includes(id);
  const ids = () => network.cluster.hsms.map(({ settings }) => settings.id);

  it('has token keys on all HSMs, and spreads what they are used for', async () => {
    const handle = await generate();
    expect(onEach(handle)).to.deep.equal([true, true, true]);
    const used = new Set<string>();
    for (const hsm of network.cluster.hsms) {
      const { get } = hsm.objects;
      hsm.objects.get = (wanted) => {
        if (wanted === handle) used.add(hsm.settings.id);
        return get.call(hsm.objects, wanted);
      };
    }
    for (let count = 0; count < 9; count++) await encrypt(handle);
    expect([...used].sort()).to.deep.equal(ids());
  });

  it('goes on with the others when any one of them is lost, and again with it when it is back', async () => {
    const handle = await generate();
    const expected = await encrypt(handle);
    for (const id of ids()) {
      const running = Array.from({ length: 30 }, () => encrypt(handle));
      await network.cutOff(id);
      for (const output of await Promise.all(running)) expect(output).to.deep.equal(expected);
      for (let count = 0; count < 10; count++) expect(await encrypt(handle)).to.deep.equal(expected);
      await network.comeBack(id);
      await until(isUp(id));
    }
  });

  it('makes, changes, shares and destroys keys while one is away, which has caught up before it is relied on', async () => {
    const [away] = ids();
    const doomed = await generate();
    const changed = await generate();
    await network.cutOff(away!);
    await until(isDown(away!));
    const made = await generate();
    await client.destroyObject(doomed);
    await client.setAttributes(changed, [attribute(CKA.CKA_LABEL, 'later')]);
    await client.shareKey(changed, 'other_user');
    expect(onEach(made)[0]).to.equal(false);
    await network.comeBack(away!);
    await until(isUp(away!));
    const [hsm] = network.cluster.hsms;
    expect(onEach(made)).to.deep.equal([true, true, true]);
    expect(onEach(doomed)).to.deep.equal([false, false, false]);
    const { object } = hsm!.objects.get(changed)!;
    expect(object.attributes.get(CKA.CKA_LABEL)!.toString()).to.equal('later');
    expect(object.sharedWith).to.deep.equal(['other_user']);
  });

  it('loses the session keys of an HSM with it, and makes new ones elsewhere', async () => {
    const handle = await generate(false);
    await encrypt(handle);
    const [home] = ids();
    await network.cutOff(home!);
    await until(isDown(home!));
    expect(await codeOf(() => encrypt(handle))).to.equal('CKR_KEY_HANDLE_INVALID');
    await encrypt(await generate(false));
  });

  it('finds a key on the HSM that has it, when others lack it', async () => {
    const only = network.cluster.connect({
      uses: (hsm) => hsm.settings.id === ids()[2],
      keyAvailability: 'off',
    });
    await only.login('crypto_user', PASSWORD);
    const handle = await only.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    for (let count = 0; count < 6; count++) await encrypt(handle);
    expect(await codeOf(() => encrypt(1))).to.equal('CKR_KEY_HANDLE_INVALID');
  });

  it('finds a key on an HSM that is just coming back, when others lack it', async () => {
    const [owner] = ids();
    const only = network.cluster.connect({
      uses: (hsm) => hsm.settings.id === owner,
      keyAvailability: 'off',
    });
    await only.login('crypto_user', PASSWORD);
    const handle = await only.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    expect(onEach(handle)).to.deep.equal([true, false, false]);
    await network.cutOff(owner!);
    await until(isDown(owner!));
    expect(await codeOf(() => encrypt(handle))).to.equal('CKR_KEY_HANDLE_INVALID');
    await network.comeBack(owner!);
    expect(await codeOf(() => encrypt(handle))).to.equal('CKR_OK');
    expect(await codeOf(() => client.send('getAttributes', { handle, types: [CKA.CKA_LABEL] }))).to.equal(
      'CKR_OK',
    );
  });

  it('goes on with a key that was on two HSMs when one is left, which takes no new keys', async () => {
    const checked = remote.connect();
    await until(() => checked.up.length === 3);
    await checked.login('crypto_user', PASSWORD);
    const handle = await checked.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    const [first, second, last] = ids();
    for (const id of [first!, second!]) {
      await network.cutOff(id);
      await until(() => !checked.up.includes(id));
    }
    const request = { handle, use: 'encrypt', mechanism: CKM.CKM_AES_ECB, keyTypes: [CKK.CKK_AES] } as const;
    expect(await codeOf(() => checked.describeKey(request))).to.equal('CKR_OK');
    const before = network.cluster.hsms.map((hsm) => hsm.objects.count);
    expect(await codeOf(() => checked.generateKey(CKM.CKM_AES_KEY_GEN, aes(true)))).to.equal(
      'CKR_FUNCTION_FAILED',
    );
    expect(network.cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal(before);
    expect(checked.up).to.deep.equal([last]);
    const later = remote.connect();
    await until(() => later.up.length === 1);
    await later.login('crypto_user', PASSWORD);
    expect(await codeOf(() => later.describeKey(request))).to.equal('CKR_FUNCTION_FAILED');
    for (const one of [checked, later]) one.close();
  });

  it('leaves no copy behind when too few HSMs take a key', async () => {
    const careful = (await network.open({ patienceMs, minimumNodes: 3 })).connect();
    await until(() => careful.up.length === 3);
    await careful.login('crypto_user', PASSWORD);
    await careful.generateKey(CKM.CKM_AES_KEY_GEN, aes(true));
    const [away] = ids();
    await network.cutOff(away!);
    await until(() => careful.up.length === 2);
    const attempt = () => careful.generateKey(CKM.CKM_AES_KEY_GEN, aes(true, 'one too few'));
    expect(await codeOf(attempt)).to.equal('CKR_FUNCTION_FAILED');
    for (const hsm of network.cluster.hsms) expect(hsm.objects.count).to.equal(1);
    careful.close();
  });

  it('waits for an HSM when all are away for a moment', async () => {
    const handle = await generate();
    for (const id of ids()) await network.cutOff(id);
    const running = encrypt(handle);
    const made = generate();
    await network.comeBack(ids()[1]!);
    expect(await running).to.have.length(16);
    expect(onEach(await made)[1]).to.equal(true);
  });

  it('never logs in by itself after all HSMs were lost for long', async () => {
    const handle = await generate();
    for (const id of ids()) await network.cutOff(id);
    expect(await codeOf(() => encrypt(handle))).to.equal('CKR_DEVICE_ERROR');
    await new Promise((resolve) => setTimeout(resolve, patienceMs));
    for (const id of ids()) await network.comeBack(id);
    await until(() => client.up.length > 0);
    expect(await codeOf(() => encrypt(handle))).to.equal('CKR_USER_NOT_LOGGED_IN');
    await client.logout();
    await client.login('crypto_user', PASSWORD);
    await encrypt(handle);
  });

  it('tells a program that logs in after all HSMs were lost for long to log out first', async () => {
    const switches = { certificateStorage: undefined, ecdhWithoutKdf: undefined };
    const options = { keyAvailabilityCheck: false, validateKeyAtInit: true, retries: true, switches };
    const slot: Slot = { index: 0, cluster: remote, profile: 'strict', options, keyAvailability: 'off' };
    const token = new Token(slot, () => undefined);
    const refusal = () => {
      try {
        token.requireNoLogin();
      } catch (error) {
        return error as Failure;
      }
      return undefined;
    };
    try {
      await until(() => token.client.up.length === 3);
      await token.login('crypto_user', PASSWORD);
      expect(refusal()?.message).to.equal('crypto_user is logged in');
      for (const id of ids()) await network.cutOff(id);
      await until(() => !token.client.loggedIn);
      for (const id of ids()) await network.comeBack(id);
      await until(() => token.client.up.length > 0);
      expect(refusal()?.code).to.equal('CKR_USER_ALREADY_LOGGED_IN');
      expect(refusal()?.message).to.contain('call C_Logout before C_Login');
      await token.logout();
      await token.login('crypto_user', PASSWORD);
      expect(refusal()?.message).to.equal('crypto_user is logged in');
    } finally {
      token.close();
    }
  });

  it('is told which HSM refuses a login that others take, and is logged in nowhere', async () => {
    await client.logout();
    const second = network.cluster.hsms[1]!;
    const admin = second.connect();
    await admin.send('login', { name: 'admin', password: PASSWORD, role: 'CO' });
    await admin.send('changePassword', { name: 'crypto_user', role: 'CU', password: 'another-one' });
    admin.close();
    const refusal = await client.login('crypto_user', PASSWORD).then(
      () => undefined,
      (error: Failure) => error,
    );
    expect(refusal?.code).to.equal('CKR_PIN_INCORRECT');
    expect(refusal?.message).to.match(
      /^hsm-2 refuses the login that others take, set the password on all HSMs: /,
    );
    expect(await codeOf(() => generate())).to.equal('CKR_USER_NOT_LOGGED_IN');
    const onAll = await client.login('crypto_user', 'wrong').catch((error: Failure) => error.message);
    expect(onAll).to.equal('the password is wrong');
  });

  it('notices HSMs that join and leave the cluster', async () => {
    const all = ids();
    network.change(all.slice(0, 2));
    await until(() => client.up.length === 2);
    expect(remote.members.map(({ id }) => id)).to.deep.equal(all.slice(0, 2));
    network.change(all);
    await until(() => client.up.length === 3);
    expect(onEach(await generate())).to.deep.equal([true, true, true]);
  });
});
