import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { KnownKeys } from '../../src/cluster/known-keys.js';
import type { RemoteCluster } from '../../src/cluster/remote-cluster.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKK } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { loggedIn, PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const describing = (handle: number) =>
  ({ handle, use: 'encrypt', mechanism: CKM.CKM_AES_ECB, keyTypes: [CKK.CKK_AES] }) as const;
const template = (token: boolean, ...more: ReturnType<typeof attribute>[]) => [
  attribute(CKA.CKA_VALUE_LEN, 32),
  attribute(CKA.CKA_TOKEN, token),
  attribute(CKA.CKA_ENCRYPT, true),
  ...more,
];

/** Init asks the HSM about a key, once: what it said holds until it says otherwise. */
describe('what a client knows of keys in HSMs elsewhere', () => {
  let network: NetworkCluster;
  let remote: RemoteCluster;
  let client: ClusterClient;
  let hsms: readonly Hsm[];

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    hsms = network.cluster.hsms;
    remote = await network.open();
    client = await loginAs('crypto_user');
  });

  afterEach(() => network.close());

  async function loginAs(name: string): Promise<ClusterClient> {
    const one = remote.connect();
    await until(() => one.up.length === 2);
    await one.login(name, PASSWORD);
    return one;
  }

  const ask = async (handle: number, by = client) => codeOf(() => by.describeKey(describing(handle)));
  /** How many HSM commands some work takes. */
  async function asked(work: () => Promise<unknown>): Promise<number> {
    const count = (): number =>
      hsms.reduce((sum, hsm) => sum + (new Map(hsm.commandCounts()).get('describeKey') ?? 0), 0);
    const before = count();
    await work();
    return count() - before;
  }
  const make = async (token = true): Promise<number> =>
    client.generateKey(CKM.CKM_AES_KEY_GEN, template(token));
  /** Both HSMs have been asked, and will not be again. */
  const know = async (handle: number): Promise<void> => {
    for (let times = 0; times < 4; times++) expect(await ask(handle)).to.equal('CKR_OK');
    expect(await asked(() => ask(handle))).to.equal(0);
  };

  it('is asked once of each HSM, for a token key and for a session key', async () => {
    for (const token of [true, false]) {
      const handle = await make(token);
      const times = await asked(async () => {
        for (let time = 0; time < 10; time++) await client.describeKey(describing(handle));
      });
      expect(times).to.equal(token ? 2 : 1);
    }
  });

  it('is asked for each use, mechanism and type of key', async () => {
    const handle = await make();
    await know(handle);
    const otherUse = { ...describing(handle), use: 'decrypt' } as const;
    expect(await codeOf(() => client.describeKey(otherUse))).to.equal('CKR_KEY_FUNCTION_NOT_PERMITTED');
    const otherType = { ...describing(handle), keyTypes: [CKK.CKK_DES3] };
    expect(await codeOf(() => client.describeKey(otherType))).to.equal('CKR_KEY_TYPE_INCONSISTENT');
    expect(await asked(() => codeOf(() => client.describeKey(otherUse)))).to.equal(1);
  });

  const endings: Record<string, [(handle: number, by: ClusterClient) => unknown, string]> = {
    'is no longer allowed': [
      (handle, by) => by.setKeyAttribute(handle, attribute(CKA.CKA_ENCRYPT, false)),
      'CKR_KEY_FUNCTION_NOT_PERMITTED',
    ],
    'is destroyed': [(handle, by) => by.destroyObject(handle), 'CKR_KEY_HANDLE_INVALID'],
  };
  for (const [what, [end, code]] of Object.entries(endings)) {
    it(`ends when the key ${what}, by another client at once, and by oneself`, async () => {
      const byAnother = await make();
      await know(byAnother);
      const other = await loginAs('crypto_user');
      await end(byAnother, other);
      await until(async () => (await ask(byAnother)) === code);
      for (const token of [true, false]) {
        const own = await make(token);
        await know(own);
        await end(own, client);
        expect(await ask(own)).to.equal(code);
      }
    });
  }

  it('ends when the key is shared no longer', async () => {
    const handle = await make();
    await client.shareKey(handle, 'other_user');
    const other = await loginAs('other_user');
    for (let times = 0; times < 4; times++) expect(await ask(handle, other)).to.equal('CKR_OK');
    await client.unshareKey(handle, 'other_user');
    await until(async () => (await ask(handle, other)) === 'CKR_KEY_HANDLE_INVALID');
  });

  it('ends with the login', async () => {
    const handle = await make();
    await know(handle);
    await client.logout();
    await client.login('other_user', PASSWORD);
    expect(await ask(handle)).to.equal('CKR_KEY_HANDLE_INVALID');
  });

  it('ends when another HSM’s change is taken over', async () => {
    const handle = await make();
    await know(handle);
    // As one that this HSM has missed.
    const connection = await loggedIn(hsms[0]!, 'crypto_user', 'CU');
    await connection.send('destroyObject', { handle });
    await hsms[1]!.synchronize();
    await until(async () => (await ask(handle)) === 'CKR_KEY_HANDLE_INVALID');
  });

  it('is nothing of a key with a quorum, and nothing of an answer that a change has overtaken', () => {
    const keys = new KnownKeys();
    const key = { keyType: CKK.CKK_AES, bits: 256, token: true, lasting: true };
    keys.begin(describing(64))({ ...key, lasting: false });
    expect(keys.find(describing(64))).to.equal(undefined);
    const remember = keys.begin(describing(64));
    keys.forget(64);
    remember(key);
    expect(keys.find(describing(64))).to.equal(undefined);
    keys.begin(describing(64))(key);
    expect(keys.find(describing(64))).to.equal(key);
    for (let handle = 65; handle < 40_000; handle++) keys.begin(describing(handle))(key);
    expect(keys.find(describing(64)), 'it does not grow').to.equal(undefined);
  });

  it('is asked again of HSMs that come back', async () => {
    const handle = await make();
    await know(handle);
    await network.cutOff('hsm-1');
    await until(() => client.up.length === 1);
    expect(await ask(handle)).to.equal('CKR_OK');
    await network.comeBack('hsm-1');
    await until(() => client.up.length === 2);
    expect(await asked(() => know(handle))).to.equal(1);
  });
});
