import { expect } from 'chai';
import {
  aesDecrypt,
  aesEncrypt,
  aesGcmDecrypt,
  aesGcmEncrypt,
  cmac,
  type HashName,
  hmac,
  importSecretKey,
} from '../../src/crypto/index.js';
import { bytesOf, type VectorGroup, type VectorTest, vectors } from '../support/wycheproof.js';
import { codeOf } from './support.js';

describe('Wycheproof: AES and MACs', () => {
  vectors('aes_gcm_test.json', async (test, group) => {
    const [iv, aad, message] = [bytesOf(test, 'iv'), bytesOf(test, 'aad'), bytesOf(test, 'msg')];
    const key = importSecretKey(bytesOf(test, 'key'));
    const sealed = Buffer.concat([bytesOf(test, 'ct'), bytesOf(test, 'tag')]);
    const tagLength = (group['tagSize'] as number) / 8;
    if (test.result === 'valid') {
      expect(aesGcmEncrypt(key, iv, aad, tagLength, message)).to.deep.equal(sealed);
      expect(aesGcmDecrypt(key, iv, aad, tagLength, sealed)).to.deep.equal(message);
    } else {
      // Invalid are modified tags and the empty IV.
      const expected = iv.length === 0 ? 'INPUT_LENGTH' : 'AUTHENTICATION_FAILED';
      expect(await codeOf(() => aesGcmDecrypt(key, iv, aad, tagLength, sealed))).to.equal(expected);
    }
  });

  vectors('aes_cbc_pkcs5_test.json', async (test) => {
    const [iv, message, ciphertext] = [bytesOf(test, 'iv'), bytesOf(test, 'msg'), bytesOf(test, 'ct')];
    const key = importSecretKey(bytesOf(test, 'key'));
    if (test.result === 'valid') {
      expect(aesEncrypt(key, 'cbc', iv, message, true)).to.deep.equal(ciphertext);
      expect(aesDecrypt(key, 'cbc', iv, ciphertext, true)).to.deep.equal(message);
    } else {
      const wholeBlocks = ciphertext.length > 0 && ciphertext.length % 16 === 0;
      const expected = wholeBlocks ? 'DECRYPTION_FAILED' : 'INPUT_LENGTH';
      expect(await codeOf(() => aesDecrypt(key, 'cbc', iv, ciphertext, true))).to.equal(expected);
    }
  });

  vectors('aes_cmac_test.json', async (test, group) => {
    const bytes = bytesOf(test, 'key');
    const mac = () => cmac(importSecretKey(bytes), bytesOf(test, 'msg'));
    if (![16, 24, 32].includes(bytes.length)) {
      expect(test.result).to.equal('invalid');
      expect(await codeOf(mac)).to.equal('INVALID_KEY');
      return;
    }
    expectMac(mac(), test, group);
  });

  for (const hash of ['sha1', 'sha224', 'sha256', 'sha384', 'sha512'] satisfies HashName[]) {
    vectors(`hmac_${hash}_test.json`, (test, group) => {
      expectMac(hmac(hash, importSecretKey(bytesOf(test, 'key')), bytesOf(test, 'msg')), test, group);
    });
  }
});

/** The file has truncated tags too: ours is compared to as many bytes as the group says. */
function expectMac(mac: Buffer, test: VectorTest, group: VectorGroup): void {
  const equal = mac.subarray(0, (group['tagSize'] as number) / 8).equals(bytesOf(test, 'tag'));
  expect(equal).to.equal(test.result === 'valid');
}
