import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { commands } from '../../src/hsm/commands/index.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Template } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

const aesTemplate = (token: boolean): Template => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
  attribute(CKA.CKA_LABEL, 'mine'),
];

describe('an HSM', () => {
  let cluster: Cluster;
  let owner: ClusterClient;
  let other: ClusterClient;

  before(async () => {
    cluster = await memoryCluster();
    [owner, other] = [cluster.connect(), cluster.connect()];
    await owner.login('crypto_user', PASSWORD);
    await other.login('other_user', PASSWORD);
  });

  it('has every token key under the same handle as the other HSMs, and a session key alone', async () => {
    const token = await owner.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(true));
    const session = await owner.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(false));
    const onEach = async (handle: number): Promise<string[]> =>
      Promise.all(
        cluster.hsms.map(async (hsm) => {
          const connection = hsm.connect();
          await connection.send('login', { name: 'crypto_user', password: PASSWORD, role: 'CU' });
          return codeOf(() => connection.send('getAttributes', { handle, types: [CKA.CKA_LABEL] }));
        }),
      );
    expect(await onEach(token)).to.deep.equal(['CKR_OK', 'CKR_OK']);
    // A session key belongs to its connection: no other one sees it, on any HSM.
    expect(await onEach(session)).to.deep.equal(['CKR_OBJECT_HANDLE_INVALID', 'CKR_OBJECT_HANDLE_INVALID']);
  });

  it('hides a key from every user but its owner, whatever they ask for', async () => {
    const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(true));
    const mechanism = { type: CKM.CKM_AES_ECB, parameter: undefined };
    const input = Buffer.alloc(16);
    const attempts: [string, () => unknown, string][] = [
      [
        'read',
        () => other.send('getAttributes', { handle, types: [CKA.CKA_CLASS] }),
        'CKR_OBJECT_HANDLE_INVALID',
      ],
      ['encrypt', () => other.send('encrypt', { handle, mechanism, input }), 'CKR_KEY_HANDLE_INVALID'],
      ['destroy', () => other.destroyObject(handle), 'CKR_OBJECT_HANDLE_INVALID'],
    ];
    for (const [what, attempt, code] of attempts) expect(await codeOf(attempt), what).to.equal(code);
    expect(await other.findObjects([attribute(CKA.CKA_LABEL, 'mine')])).to.deep.equal([]);
    expect(await owner.send('encrypt', { handle, mechanism, input })).to.have.length(16);
  });

  it('answers no command that needs a login before it, and none of a CU to a CO', async () => {
    const stranger = cluster.hsms[0]!.connect();
    const admin = cluster.hsms[0]!.connect();
    await admin.send('login', { name: 'admin', password: PASSWORD, role: 'CO' });
    const guarded = Object.entries(commands).filter(([, command]) => command.login === 'CU');
    expect(guarded.length).to.be.greaterThan(10);
    for (const [name] of guarded) {
      const send = (connection: typeof admin) => () =>
        connection.send(name as 'findObjects', { template: [] });
      expect(await codeOf(send(stranger)), name).to.equal('CKR_USER_NOT_LOGGED_IN');
      expect(await codeOf(send(admin)), name).to.equal('CKR_USER_NOT_LOGGED_IN');
    }
  });

  it('checks usage and mechanism itself: a client that skips Init gains nothing', async () => {
    const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(false));
    const input = Buffer.alloc(16);
    const send = (use: 'encrypt' | 'decrypt' | 'sign', type: number, parameter?: Buffer) => () =>
      owner.send(use, { handle, mechanism: { type, parameter }, input });
    expect(await codeOf(send('decrypt', CKM.CKM_AES_ECB))).to.equal('CKR_KEY_FUNCTION_NOT_PERMITTED');
    expect(await codeOf(send('encrypt', CKM.CKM_RSA_PKCS_OAEP))).to.equal('CKR_KEY_TYPE_INCONSISTENT');
    expect(await codeOf(send('encrypt', CKM.CKM_AES_CBC))).to.equal('CKR_MECHANISM_PARAM_INVALID');
    expect(await codeOf(send('encrypt', CKM.CKM_SHA256))).to.equal('CKR_MECHANISM_INVALID');
    expect(await codeOf(send('sign', CKM.CKM_SHA256_HMAC))).to.equal('CKR_KEY_TYPE_INCONSISTENT');
  });

  it('takes no masked object that was altered, and none of another cluster', async () => {
    const [hsm] = (await memoryCluster({ hsms: 1 })).hsms;
    const foreign = hsm!.connect();
    await foreign.send('login', { name: 'crypto_user', password: PASSWORD, role: 'CU' });
    const request = { mechanism: CKM.CKM_AES_KEY_GEN, template: aesTemplate(true) };
    const { masked } = await foreign.send('generateKey', request);
    const altered = Buffer.from(masked!);
    altered[20]! ^= 1;
    expect(await codeOf(() => foreign.send('insertMaskedObject', { masked: altered }))).to.equal(
      'CKR_FUNCTION_FAILED',
    );
    expect(await codeOf(() => owner.send('insertMaskedObject', { masked: masked! }))).to.equal(
      'CKR_FUNCTION_FAILED',
    );
    expect(await codeOf(() => foreign.send('insertMaskedObject', { masked: masked! }))).to.equal('CKR_OK');
    expect(masked!.toString('latin1')).not.to.contain('mine');
  });

  it('leaves nothing behind when one HSM of the cluster does not take a new key', async () => {
    const broken = await memoryCluster();
    const client = broken.connect();
    await client.login('crypto_user', PASSWORD);
    broken.hsms[1]!.objects.insert = async () => {
      throw new Error('the disk is full');
    };
    expect(await codeOf(() => client.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(true)))).to.equal(
      'CKR_FUNCTION_FAILED',
    );
    expect(broken.hsms.map((hsm) => hsm.objects.count)).to.deep.equal([0, 0]);
  });

  it('never destroys a key with CKA_DESTROYABLE FALSE', async () => {
    const template = [...aesTemplate(true), attribute(CKA.CKA_DESTROYABLE, false)];
    const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, template);
    expect(await codeOf(() => owner.destroyObject(handle))).to.equal('CKR_ACTION_PROHIBITED');
    expect(await codeOf(() => owner.send('locateObject', { handle }))).to.equal('CKR_OK');
  });

  it('counts wrong passwords given at the same time like those given in turn', async () => {
    const { hsms } = await memoryCluster({ hsms: 1 });
    const login = (password: string) => () =>
      hsms[0]!.connect().send('login', { name: 'crypto_user', password, role: 'CU' });
    const codes = await Promise.all(Array.from({ length: 10 }, () => codeOf(login('a wrong password'))));
    expect(codes.filter((code) => code === 'CKR_PIN_INCORRECT')).to.have.length(6);
    expect(codes.filter((code) => code === 'CKR_PIN_LOCKED')).to.have.length(4);
    expect(await codeOf(login(PASSWORD))).to.equal('CKR_PIN_LOCKED');
  });

  it('gives handles that are never used again, not even after a restart', async () => {
    const handles = new Set<number>();
    for (let count = 0; count < 100; count++) {
      const handle = await owner.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(false));
      expect(handles.has(handle)).to.equal(false);
      handles.add(handle);
      await owner.destroyObject(handle);
    }
    expect(
      [...handles].every((handle) => handle % 64 === 1),
      'of the HSM that made them',
    ).to.equal(true);
  });

  it('knows generic secrets too', async () => {
    const template = [attribute(CKA.CKA_VALUE_LEN, 800), attribute(CKA.CKA_KEY_TYPE, CKK.CKK_GENERIC_SECRET)];
    const handle = await owner.generateKey(CKM.CKM_GENERIC_SECRET_KEY_GEN, template);
    const input = Buffer.from('data');
    const mac = await owner.send('sign', {
      handle,
      mechanism: { type: CKM.CKM_SHA256_HMAC, parameter: undefined },
      input,
    });
    expect(mac).to.have.length(32);
  });
});

describe('several clients on one object', () => {
  let first: ClusterClient;
  let second: ClusterClient;

  before(async () => {
    const cluster = await memoryCluster();
    [first, second] = [cluster.connect(), cluster.connect()];
    await first.login('crypto_user', PASSWORD);
    await second.login('crypto_user', PASSWORD);
  });

  const encrypt = (handle: number): unknown =>
    first.send('encrypt', {
      handle,
      mechanism: { type: CKM.CKM_AES_ECB, parameter: undefined },
      input: Buffer.alloc(16),
    });

  it('destroying and changing it at once leaves it whole or gone', async () => {
    for (let round = 0; round < 20; round++) {
      const handle = await first.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(true));
      const before = await encrypt(handle);
      await Promise.allSettled([
        first.destroyObject(handle),
        second.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'new')]),
      ]);
      const code = await codeOf(() => encrypt(handle));
      expect(code).to.be.oneOf(['CKR_OK', 'CKR_KEY_HANDLE_INVALID']);
      if (code === 'CKR_OK') expect(await encrypt(handle)).to.deep.equal(before);
    }
  });

  it('changing different attributes at once loses none of the changes', async () => {
    const handle = await first.generateKey(CKM.CKM_AES_KEY_GEN, aesTemplate(true));
    await Promise.all([
      first.setAttributes(handle, [attribute(CKA.CKA_EXTRACTABLE, false)]),
      second.setAttributes(handle, [attribute(CKA.CKA_LABEL, 'new')]),
    ]);
    const types = [CKA.CKA_EXTRACTABLE, CKA.CKA_LABEL];
    expect(await first.send('getAttributes', { handle, types })).to.deep.equal([
      Buffer.from([0]),
      Buffer.from('new'),
    ]);
  });

  it('an old masked copy of it undoes no change and brings nothing back', async () => {
    const template = aesTemplate(true);
    const { handle, masked } = await first.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template });
    const insert = () => first.send('insertMaskedObject', { masked: masked! });
    await insert();
    // The very same: nothing changes, and it cannot be taken back as if it were new.
    await insert();
    await first.send('withdrawObject', { handle });
    expect(await codeOf(insert)).to.equal('CKR_ACTION_PROHIBITED');
  });

  it('an old masked copy of it is neither a change nor a way to be rid of it', async () => {
    const template = [...aesTemplate(true), attribute(CKA.CKA_DESTROYABLE, false)];
    const { handle, masked } = await first.send('generateKey', { mechanism: CKM.CKM_AES_KEY_GEN, template });
    await first.send('insertMaskedObject', { masked: masked! });
    const insert = () => second.send('insertMaskedObject', { masked: masked! });
    await insert();
    expect(await codeOf(() => second.send('withdrawObject', { handle }))).to.equal('CKR_ACTION_PROHIBITED');
    await first.send('setAttributes', { handle, template: [attribute(CKA.CKA_LABEL, 'new')] });
    expect(await codeOf(insert)).to.equal('CKR_ACTION_PROHIBITED');
  });
});
