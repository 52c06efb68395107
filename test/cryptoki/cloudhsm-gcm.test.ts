import { createDecipheriv } from 'node:crypto';
import { expect } from 'chai';
import type { MechanismParameter } from '../../src/pkcs11/layouts.js';
import { codeOf } from '../support/codes.js';
import { aesKey, flags, gcm, mechanism, Program } from '../support/program.js';

const NOTHING = Buffer.alloc(0);
const KEK = Buffer.alloc(32, 9);

describe('CKM_CLOUDHSM_AES_GCM', () => {
  let program: Program;
  let key: number;
  const data = Buffer.from('pay 100 to Alice');

  before(async () => {
    program = await Program.start();
    key = await program.create({ ...aesKey, CKA_VALUE: KEK, ...flags('CKA_ENCRYPT', 'CKA_DECRYPT') });
  });

  after(() => program.close());

  it('encrypts with an IV of the HSM in front of the output (reference 9.4)', async () => {
    const aad = Buffer.from('order 7');
    const how = mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING, aad));
    const [first, second] = [await program.encrypt(key, how, data), await program.encrypt(key, how, data)];
    expect(first).to.have.length(12 + data.length + 16);
    expect(first.subarray(0, 12)).not.to.deep.equal(second.subarray(0, 12));
    const decipher = createDecipheriv('aes-256-gcm', KEK, first.subarray(0, 12)).setAAD(aad);
    decipher.setAuthTag(first.subarray(-16));
    expect(Buffer.concat([decipher.update(first.subarray(12, -16)), decipher.final()])).to.deep.equal(data);
    expect(await program.decrypt(key, how, first)).to.deep.equal(data);
    first[0]! ^= 1;
    expect(await codeOf(() => program.decrypt(key, how, first))).to.equal('CKR_ENCRYPTED_DATA_INVALID');
    expect(await codeOf(() => program.decrypt(key, how, first.subarray(0, 27)))).to.equal(
      'CKR_ENCRYPTED_DATA_LEN_RANGE',
    );
  });

  it('takes no IV, and in the strict profile no parts', async () => {
    const strict = await Program.start({ profile: 'strict' });
    const strictKey = await strict.generateAes(flags('CKA_ENCRYPT'));
    const init = (parameter: MechanismParameter) =>
      codeOf(() =>
        program.call('C_EncryptInit', {
          pMechanism: mechanism('CKM_CLOUDHSM_AES_GCM', parameter),
          hKey: key,
        }),
      );
    expect(await init(gcm(Buffer.alloc(12)))).to.equal('CKR_MECHANISM_PARAM_INVALID');
    expect(await init({ layout: 'unusable', lengthBytes: 40 })).to.equal('CKR_MECHANISM_PARAM_INVALID');
    const pMechanism = mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING));
    for (const call of ['C_EncryptUpdate', 'C_EncryptFinal'] as const) {
      await strict.call('C_EncryptInit', { pMechanism, hKey: strictKey });
      const input = { pPart: data, pEncryptedPart: 64, pLastEncryptedPart: 64 };
      expect(await codeOf(() => strict.call(call, input))).to.equal('CKR_MECHANISM_INVALID');
    }
    strict.close();
  });
});
