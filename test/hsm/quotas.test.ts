import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { quotaOf, quotas } from '../../src/hsm/quotas.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { type ClusterOptions, memoryCluster, PASSWORD } from '../support/in-process.js';

const FULL = 'CKR_DEVICE_MEMORY';

async function client(options: ClusterOptions): Promise<ClusterClient> {
  const opened = (await memoryCluster(options)).connect();
  await opened.login('crypto_user', PASSWORD);
  return opened;
}

const aes = (on: ClusterClient, token: boolean) => async () =>
  on.generateKey(CKM.CKM_AES_KEY_GEN, [attribute(CKA.CKA_VALUE_LEN, 16), attribute(CKA.CKA_TOKEN, token)]);

const ec = (on: ClusterClient, publicToken: boolean, privateToken: boolean) => async () =>
  on.generateKeyPair(
    CKM.CKM_EC_KEY_PAIR_GEN,
    [
      attribute(CKA.CKA_EC_PARAMS, Buffer.from('06082a8648ce3d030107', 'hex')),
      attribute(CKA.CKA_TOKEN, publicToken),
    ],
    [attribute(CKA.CKA_TOKEN, privateToken)],
  );

describe('key quotas', () => {
  it("are CloudHSM's, unless keyQuota says otherwise (reference section 16)", () => {
    expect(quotas['hsm1.medium'].keys).to.equal(3300);
    expect(quotas['hsm2m.medium']).to.include({ keys: 16_666, asymmetricKeys: 3333, certificates: 60 });
    expect(quotaOf('hsm2m.medium', 100_000)).to.include({
      keys: 100_000,
      asymmetricKeys: 100_000,
      certificates: 60,
    });
  });

  for (const token of [false, true]) {
    it(`end what ${token ? 'token' : 'session'} keys can be made, until one is destroyed`, async () => {
      const on = await client({ keyQuota: 3 });
      const handles = [await aes(on, token)(), await aes(on, token)(), await aes(on, token)()];
      expect(await codeOf(aes(on, token))).to.equal(FULL);
      await on.destroyObject(handles[0]!);
      expect(await codeOf(aes(on, token))).to.equal('CKR_OK');
      expect(await codeOf(aes(on, token))).to.equal(FULL);
    });

    it(`never leave half a pair of ${token ? 'token' : 'session'} keys behind`, async () => {
      const on = await client({ keyQuota: 2 });
      await aes(on, false)();
      expect(await codeOf(ec(on, token, token))).to.equal(FULL);
      expect(await on.findObjects([])).to.have.length(1);
      expect(await codeOf(aes(on, false))).to.equal('CKR_OK');
    });
  }

  it('of public and private keys are an own one', async () => {
    const cluster = await memoryCluster({ quota: { keys: 10, asymmetricKeys: 2, certificates: 60 } });
    const on = cluster.connect();
    await on.login('crypto_user', PASSWORD);
    expect(await codeOf(ec(on, true, false))).to.equal('CKR_OK');
    expect(await codeOf(ec(on, true, false))).to.equal(FULL);
    expect(await codeOf(aes(on, true))).to.equal('CKR_OK');
  });

  it('hold against keys made at the same time, on every HSM', async () => {
    const cluster = await memoryCluster({ keyQuota: 5 });
    const clients = [cluster.connect(), cluster.connect()];
    for (const on of clients) await on.login('crypto_user', PASSWORD);
    const codes = await Promise.all(
      Array.from({ length: 20 }, (_, count) => codeOf(aes(clients[count % 2]!, true))),
    );
    expect(codes.filter((code) => code === 'CKR_OK')).to.have.length(5);
    expect(cluster.hsms.map((hsm) => hsm.objects.count)).to.deep.equal([5, 5]);
  });

  it('are free again when a session ends or its user logs out', async () => {
    const cluster = await memoryCluster({ keyQuota: 1, hsms: 1 });
    for (const end of ['logout', 'close'] as const) {
      const on = cluster.connect();
      await on.login('crypto_user', PASSWORD);
      await aes(on, false)();
      expect(await codeOf(aes(on, false))).to.equal(FULL);
      await on[end]();
    }
    expect(cluster.hsms[0]!.counts.keys).to.equal(0);
  });
});
