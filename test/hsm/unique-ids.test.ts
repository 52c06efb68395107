import { expect } from 'chai';
import type { Cluster } from '../../src/cluster/cluster.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

// The code is a guess: reference section 11.3.
const DUPLICATE = 'CKR_ATTRIBUTE_VALUE_INVALID';

describe('a CKA_ID that is in use (reference section 7)', () => {
  let cluster: Cluster;
  let first: ClusterClient;
  let second: ClusterClient;

  const open = async (profile: 'strict' | 'compatible') => {
    cluster = await memoryCluster({ profile });
    [first, second] = [cluster.connect(), cluster.connect()];
    await first.login('crypto_user', PASSWORD);
    await second.login('other_user', PASSWORD);
  };
  const aes =
    (on: ClusterClient, id: string, token = true) =>
    async () =>
      on.generateKey(CKM.CKM_AES_KEY_GEN, [
        attribute(CKA.CKA_VALUE_LEN, 16),
        attribute(CKA.CKA_TOKEN, token),
        attribute(CKA.CKA_ID, id),
      ]);
  const pair = (on: ClusterClient, id: string) => async () =>
    on.generateKeyPair(
      CKM.CKM_EC_KEY_PAIR_GEN,
      [attribute(CKA.CKA_EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')), attribute(CKA.CKA_ID, id)],
      [attribute(CKA.CKA_ID, id)],
    );

  describe('in the strict profile', () => {
    beforeEach(() => open('strict'));

    for (const token of [false, true]) {
      it(`is refused to a ${token ? 'token' : 'session'} key of the same class, until it is free`, async () => {
        const handle = await aes(first, 'id', token)();
        expect(await codeOf(aes(first, 'id', token))).to.equal(DUPLICATE);
        await first.destroyObject(handle);
        expect(await codeOf(aes(first, 'id', token))).to.equal('CKR_OK');
      });
    }

    it('is free when the session key that had it gets another one, and when its owner logs out', async () => {
      const handle = await aes(first, 'id', false)();
      await first.setKeyAttribute(handle, attribute(CKA.CKA_ID, 'another'));
      expect(await codeOf(aes(first, 'another', false))).to.equal(DUPLICATE);
      expect(await codeOf(aes(first, 'id', false))).to.equal('CKR_OK');
      await first.logout();
      await first.login('crypto_user', PASSWORD);
      expect(await codeOf(aes(first, 'another', false))).to.equal('CKR_OK');
    });

    it('is refused whoever has it', async () => {
      await aes(first, 'id')();
      expect(await codeOf(aes(second, 'id'))).to.equal(DUPLICATE);
    });

    it('goes with the halves of a pair, and with a key of another class', async () => {
      expect(await codeOf(pair(first, 'id'))).to.equal('CKR_OK');
      expect(await codeOf(aes(first, 'id'))).to.equal('CKR_OK');
      expect(await codeOf(pair(first, 'id'))).to.equal(DUPLICATE);
    });

    it('may be the empty one as often as one likes', async () => {
      for (let count = 0; count < 3; count++) expect(await codeOf(aes(first, ''))).to.equal('CKR_OK');
    });

    it('is given to one of many who ask at the same time, on every HSM', async () => {
      const clients = [first, second];
      const codes = await Promise.all(
        Array.from({ length: 10 }, (_, count) => codeOf(aes(clients[count % 2]!, 'contested'))),
      );
      expect(codes.filter((code) => code === 'CKR_OK')).to.have.length(1);
      expect(codes.filter((code) => code === DUPLICATE)).to.have.length(9);
      expect(cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal([1, 1]);
    });

    it('is not set afterwards either, at once or one after the other', async () => {
      const handles = [await aes(first, 'one')(), await aes(first, 'two')(), await aes(first, 'three')()];
      const set = (handle: number, id: string) =>
        codeOf(() => first.setKeyAttribute(handle, attribute(CKA.CKA_ID, id)));
      expect(await set(handles[0]!, 'two')).to.equal(DUPLICATE);
      expect(await set(handles[0]!, 'one')).to.equal('CKR_OK');
      const codes = await Promise.all(handles.map((handle) => set(handle, 'contested')));
      expect(codes.sort()).to.deep.equal([DUPLICATE, DUPLICATE, 'CKR_OK']);
    });
  });

  it('is accepted in the compatible profile', async () => {
    await open('compatible');
    await aes(first, 'id')();
    expect(await codeOf(aes(first, 'id'))).to.equal('CKR_OK');
  });
});
