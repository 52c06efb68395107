import { join } from 'node:path';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import type { ClientConfig } from '../../src/base/client-config.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { cloudhsmLocal, TestEngine } from '../support/engine.js';
import { generateAes } from '../support/keys.js';
import { expectCkr, TestModule } from '../support/module.js';

/** Reference 2.3 */
describe('several clusters in one cloudhsm-pkcs11.cfg', function () {
  this.timeout(120_000);
  let near: TestEngine;
  let far: TestEngine;
  let clusters: ClientConfig['clusters'] & object;

  // biome-ignore lint/suspicious/noExplicitAny: JSON
  const statusOf = async ({ home }: TestEngine): Promise<any> =>
    JSON.parse((await cloudhsmLocal(['status', '--home', home, '--json'])).stdout);

  before(async () => {
    near = await TestEngine.start();
    far = await TestEngine.start();
    const [here] = (await statusOf(near)).clusters;
    const [there] = (await statusOf(far)).clusters;
    const certificate = (name: string): string => join(far.home, 'certificates', name);
    clusters = [
      { cluster: { cluster_id: here.id } },
      {
        type: 'hsm1',
        cluster: {
          cluster_id: there.id,
          hsm_ca_file: certificate('customerCA.crt'),
          client_cert_path: certificate('client.crt'),
          client_key_path: certificate('client.key'),
          servers: there.hsms.map(({ eniIp, port }: { eniIp: string; port: number }) => ({
            hostname: eniIp,
            port,
            enable: true,
          })),
        },
      },
    ];
  });
  after(async () => {
    await near?.stop();
    await far?.stop();
  });

  function withModule<T>(run: (p11: pkcs11js.PKCS11, module: TestModule) => T, of = clusters): T {
    const module = new TestModule(near, { clusters: of });
    try {
      return run(module.p11, module);
    } finally {
      module.close();
    }
  }
  const FIRST = 0x2000000000000001n;
  const serials = (p11: pkcs11js.PKCS11): string[] =>
    p11.C_GetSlotList(true).map((slot) => `cluster-${p11.C_GetTokenInfo(slot).serialNumber.trim()}`);
  const ids = (of = clusters): (string | undefined)[] => of.map(({ cluster }) => cluster.cluster_id);

  it('are a slot each, in its order, that count up from 0x2000000000000001', () => {
    withModule((p11) => {
      const slots = p11.C_GetSlotList(true);
      expect(slots.map((slot) => slot.readBigUInt64LE())).to.deep.equal([FIRST, FIRST + 1n]);
      expect(slots.map((slot) => p11.C_GetTokenInfo(slot).label.trim())).to.deep.equal(['hsm1', 'hsm1']);
      expect(serials(p11)).to.deep.equal(ids());
      const third = Buffer.alloc(8);
      third.writeBigUInt64LE(FIRST + 2n);
      expectCkr(CKR.CKR_SLOT_ID_INVALID, () => p11.C_OpenSession(third, 6));
    });
    const turned = [...clusters].reverse();
    withModule((p11) => expect(serials(p11)).to.deep.equal(ids(turned)), turned);
  });

  it('have logins and keys of their own, and what one does is not seen in the other', () => {
    withModule((p11, module) => {
      const [here, there] = p11.C_GetSlotList(true).map((slot) => p11.C_OpenSession(slot, 6)) as [
        Buffer,
        Buffer,
      ];
      p11.C_Login(here, pkcs11js.CKU_USER, near.pin);
      expect(module.isLoggedIn(there)).to.equal(false);
      expectCkr(CKR.CKR_PIN_INCORRECT, () => p11.C_Login(there, pkcs11js.CKU_USER, near.pin));
      p11.C_Login(there, pkcs11js.CKU_USER, far.pin);
      const count = (session: Buffer): number => {
        p11.C_FindObjectsInit(session, []);
        const found = p11.C_FindObjects(session, 10);
        p11.C_FindObjectsFinal(session);
        return found.length;
      };
      generateAes(module, there, 32, [{ type: pkcs11js.CKA_TOKEN, value: true }]);
      generateAes(module, there);
      expect([count(here), count(there)]).to.deep.equal([0, 2]);
      p11.C_Logout(here);
      expect(module.isLoggedIn(there)).to.equal(true);
      const key = generateAes(module, there);
      p11.C_EncryptInit(there, { mechanism: pkcs11js.CKM_AES_ECB }, key);
      expect(p11.C_Encrypt(there, Buffer.alloc(16), Buffer.alloc(16))).to.have.length(16);
    });
  });

  it('keep their keys where they belong', async () => {
    const [{ hsms: here }, { hsms: there }] = await Promise.all(
      [near, far].map(async (engine) => (await statusOf(engine)).clusters[0]),
    );
    const keys = (hsms: { tokenKeys: number }[]) => hsms.map(({ tokenKeys }) => tokenKeys);
    expect([keys(here), keys(there)]).to.deep.equal([
      [0, 0],
      [1, 1],
    ]);
  });

  it('are in the status of the engine for as long as a program uses them', async () => {
    const module = new TestModule(near, { clusters });
    const listed = async () => (await statusOf(near)).clusters.map(({ id }: { id: string }) => id);
    expect(await listed()).to.deep.equal(ids());
    module.close();
    expect(await listed()).to.deep.equal(ids().slice(0, 1));
  });

  it('make C_Initialize fail where one of them cannot be reached', async () => {
    await far.kill();
    expect(() => new TestModule(near, { clusters })).to.throw('CKR_');
    await far.restart();
    withModule((p11) => expect(p11.C_GetSlotList(true)).to.have.length(2));
  });
});
