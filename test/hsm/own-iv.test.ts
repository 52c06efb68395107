import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import type { Profile } from '../../src/objects/deviations.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';

/** "FIPS is the reason the IV cannot come from the caller" (reference section 9.4): not past the library either. */
describe('an HSM asked to encrypt with AES-GCM', () => {
  let client: ClusterClient;
  let handle: number;

  const open = async (profile: Profile): Promise<void> => {
    client = (await memoryCluster({ profile })).connect();
    await client.login('crypto_user', PASSWORD);
    handle = await client.generateKey(CKM.CKM_AES_KEY_GEN, [
      attribute(CKA.CKA_VALUE_LEN, 32),
      attribute(CKA.CKA_ENCRYPT, true),
    ]);
  };
  const newIv = async (): Promise<Buffer> => client.send('generateIv', { lengthBytes: 12 });
  const encrypt = (pIv: Buffer) => async () => {
    const parameter = {
      layout: 'CK_GCM_PARAMS',
      pIv,
      ulIvBits: 0,
      pAAD: Buffer.alloc(0),
      ulTagBits: 128,
    } as const;
    const mechanism = { type: CKM.CKM_AES_GCM, parameter };
    return client.send('encrypt', { handle, mechanism, input: Buffer.from('data') });
  };

  it('takes an IV that it has made, once, in the strict profile', async () => {
    await open('strict');
    const iv = await newIv();
    expect(await codeOf(encrypt(iv))).to.equal('CKR_OK');
    expect(await codeOf(encrypt(iv))).to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it("takes nobody else's in the strict profile", async () => {
    await open('strict');
    await newIv();
    expect(await codeOf(encrypt(Buffer.alloc(12, 1)))).to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it("takes the caller's in the compatible profile", async () => {
    await open('compatible');
    expect(await codeOf(encrypt(Buffer.alloc(12, 1)))).to.equal('CKR_OK');
  });
});
