import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { CKA } from '../../../src/pkcs11/attributes.js';
import { type BehaviourClient, useClient } from './client.js';

const knownKey = Buffer.from(Array.from({ length: 32 }, (_, at) => at));

/** What C_WrapKey answers for a length query, for a buffer that is too small, and then; and C_UnwrapKey. */
const wentWell = '0x0 0x150 0x0 0x0 exact';
const hex = (type: number): string => `0x${type.toString(16)}`;

describe('what programs do to the module', function () {
  this.timeout(300_000);

  let client: BehaviourClient;

  useClient((started) => {
    client = started;
  });

  describe('wrapping', () => {
    it("keys go out and come back as in AWS's sample programs", async () => {
      const lines = await client.play('wrap');
      const secretOnly = ['NO_PAD', 'RSA_PKCS_OAEP', 'RSA_AES_KEY_WRAP'];
      const both = ['PKCS5_PAD', 'PKCS5_PAD', 'ZERO_PAD', 'ZERO_PAD', 'AES_GCM', 'CLOUDHSM_AES_GCM'];
      for (const name of [...secretOnly, ...both]) expect(lines).to.include(`${name} ${wentWell}`);
      expect(lines.filter((line) => line.endsWith(wentWell))).to.have.length(secretOnly.length + both.length);
      expect(lines).to.include('the IV is there');
      const ecb = createCipheriv('aes-256-ecb', knownKey, null).setAutoPadding(false);
      expect(lines).to.include(`block ${ecb.update(knownKey.subarray(0, 16)).toString('hex')}`);
      expect(lines).to.include('no OAEP parameters 0x71');
      expect(lines).to.include('no mechanism 0x7');
    });

    it('a template within a template is read entry by entry (v2.40 base, C_GetAttributeValue)', async () => {
      expect(await client.play('nested')).to.deep.equal([
        'how long 0x0',
        'entries 2',
        'which ones 0x0',
        `entry ${hex(CKA.CKA_ENCRYPT)} 1`,
        `entry ${hex(CKA.CKA_LABEL)} 6`,
        'the values 0x0',
        'values 1 backup',
        'a value that does not fit 0x150',
        `entry ${hex(CKA.CKA_LABEL)} -1`,
        'too few entries 0x150',
        'length -1',
        'an array that is not initialised 0x0',
        `entry ${hex(CKA.CKA_LABEL)} 6`,
        'a key without one 0x0',
        'entries 0',
        'an entry twice 0xd1',
        'a template within 0x13',
        'no array 0x13',
        'C_Finalize 0x0',
      ]);
    });
  });
});
