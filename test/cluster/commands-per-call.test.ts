import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { Hsm } from '../../src/hsm/hsm.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { PASSWORD } from '../support/in-process.js';
import { NetworkCluster, until } from '../support/network.js';

const template = (token: boolean) => [attribute(CKA.CKA_VALUE_LEN, 32), attribute(CKA.CKA_TOKEN, token)];

/** Each command is a way to the HSM and back. */
describe('commands to HSMs elsewhere', () => {
  let network: NetworkCluster;
  let client: ClusterClient;
  let hsms: readonly Hsm[];

  beforeEach(async () => {
    network = await NetworkCluster.start({ hsms: 2 });
    hsms = network.cluster.hsms;
    client = (await network.open()).connect();
    await until(() => client.up.length === 2);
    await client.login('crypto_user', PASSWORD);
  });

  afterEach(() => network.close());

  /** How often each command was given to either HSM. */
  function counts(): Map<string, number> {
    const all = new Map<string, number>();
    for (const hsm of hsms)
      for (const [name, count] of hsm.commandCounts()) all.set(name, (all.get(name) ?? 0) + count);
    return all;
  }
  async function givenBy(work: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = counts();
    await work();
    const more = [...counts()].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
    return Object.fromEntries(more.filter(([, count]) => count > 0));
  }
  const make = async (token: boolean): Promise<number> =>
    client.generateKey(CKM.CKM_AES_KEY_GEN, template(token));
  const set = async (handle: number): Promise<void> =>
    client.setKeyAttribute(handle, attribute(CKA.CKA_TOKEN, true));

  it('make a session key in one and destroy it in one', async () => {
    const handles: number[] = [];
    const given = await givenBy(async () => handles.push(await make(false)));
    expect(given).to.deep.equal({ generateKey: 1 });
    const handle = handles[0]!;
    const before = counts();
    client.destroyObject(handle);
    // It is answered before the HSM has done it.
    await until(() => counts().get('destroyObject') === 1);
    expect(counts()).to.deep.equal(new Map([...before, ['destroyObject', 1]]));
    expect(await codeOf(() => client.destroyObject(handle))).to.equal('CKR_OBJECT_HANDLE_INVALID');
  });

  it('end a session key along with its session in one, and it is forgotten', async () => {
    const handle = await make(false);
    expect(await givenBy(async () => client.endSessionObject(handle))).to.deep.equal({ endSessionObject: 1 });
    expect(await codeOf(() => client.locate(handle))).to.equal('CKR_OBJECT_HANDLE_INVALID');
  });

  it('ask where a token key is once before they destroy it everywhere', async () => {
    const handle = await make(true);
    const accepted: boolean[] = [];
    const given = await givenBy(async () => client.destroyObject(handle, (token) => accepted.push(token)));
    expect(given).to.deep.equal({ locateObject: 1, destroyObject: 2 });
    expect(accepted).to.deep.equal([true]);
  });

  it('leave an object as it is that the caller does not accept', async () => {
    const refuse = (): never => {
      throw new Error('a read-only session');
    };
    for (const handle of [await make(true), await make(false)]) {
      expect(await codeOf(() => client.destroyObject(handle, refuse))).to.not.equal('CKR_OK');
      expect(await codeOf(() => client.locate(handle))).to.equal('CKR_OK');
    }
  });

  it('know a session key that became a token key for one', async () => {
    const handle = await make(false);
    await set(handle);
    expect(await client.locate(handle)).to.deep.equal({ token: true });
    const given = await givenBy(async () => client.destroyObject(handle));
    expect(given['destroyObject']).to.equal(2);
  });

  it('keep knowing a session key that could not be destroyed', async () => {
    const lasting = [...template(false), attribute(CKA.CKA_DESTROYABLE, false)];
    const handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, lasting);
    expect(await codeOf(() => client.destroyObject(handle))).to.equal('CKR_ACTION_PROHIBITED');
    expect(await givenBy(async () => client.locate(handle))).to.deep.equal({});
  });

  it('are none for random bytes at times, when a program wants more and more of them', async () => {
    const seen: string[] = [];
    const take = async (): Promise<void> =>
      void seen.push((await client.send('generateRandom', { lengthBytes: 32 })).toString('hex'));
    await until(async () => (await givenBy(take))['generateRandom'] === undefined);
    for (let times = 0; times < 200; times++) await take();
    expect(new Set(seen).size).to.equal(seen.length);
  });

  it('fetch random bytes each time for who is not logged in', async () => {
    await client.send('generateRandom', { lengthBytes: 32 });
    await client.send('generateRandom', { lengthBytes: 32 });
    await client.send('generateRandom', { lengthBytes: 32 });
    await client.send('generateRandom', { lengthBytes: 32 });
    await client.logout();
    for (let times = 0; times < 8; times++) {
      const given = await givenBy(() =>
        codeOf(() => client.send('generateRandom', { lengthBytes: 32 }, 'C_GenerateRandom')),
      );
      expect(given['generateRandom']).to.equal(1);
    }
  });
});
