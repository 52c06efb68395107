import { createHmac } from 'node:crypto';
import { expect } from 'chai';
import {
  cmac,
  type HashName,
  hashLengthBytes,
  hmac,
  importSecretKey,
  randomBytes,
} from '../../src/crypto/index.js';
import { ascii, codeOf, hex, noBytes } from './support.js';

describe('HMAC', () => {
  it('answers as RFC 4231 test case 2 says', () => {
    const mac = hmac('sha256', importSecretKey(ascii('Jefe')), ascii('what do ya want for nothing?'));
    expect(mac.toString('hex')).to.equal('5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  });

  for (const hash of Object.keys(hashLengthBytes) as HashName[]) {
    it(`${hash} agrees with node:crypto for keys and data of many lengths`, () => {
      for (const keyLength of [1, 20, 64, 65, 128, 129, 300]) {
        const bytes = randomBytes(keyLength);
        const key = importSecretKey(bytes);
        for (const length of [0, 1, 63, 64, 65, 127, 128, 129, 1000]) {
          const data = randomBytes(length);
          expect(hmac(hash, key, data)).to.deep.equal(createHmac(hash, bytes).update(data).digest());
        }
      }
    });
  }

  it('refuses a destroyed key', async () => {
    const key = importSecretKey(ascii('Jefe'));
    hmac('sha1', key, noBytes);
    key.destroy();
    expect(await codeOf(() => hmac('sha1', key, noBytes))).to.equal('INVALID_KEY');
  });
});

describe('AES-CMAC', () => {
  // RFC 4493 section 4, examples 1 to 4.
  const message = hex(`6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
    30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`);
  const examples: [number, string][] = [
    [0, 'bb1d6929e95937287fa37d129b756746'],
    [16, '070a16b46b4d4144f79bdd9dd04a287c'],
    [40, 'dfa66747de9ae63030ca32611497c827'],
    [64, '51f0bebf7e3b9d92fc49741779363cfe'],
  ];

  it('answers as RFC 4493 says, again and again on one key', () => {
    const key = importSecretKey(hex('2b7e151628aed2a6abf7158809cf4f3c'));
    for (const [length, expected] of [...examples, ...examples.reverse()]) {
      expect(cmac(key, message.subarray(0, length)).toString('hex')).to.equal(expected);
    }
  });

  it('refuses keys that are not AES keys', async () => {
    expect(await codeOf(() => cmac(importSecretKey(Buffer.alloc(17)), message))).to.equal('INVALID_KEY');
  });
});
