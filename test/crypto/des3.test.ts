import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import { des3Decrypt, des3Encrypt, importSecretKey, randomBytes } from '../../src/crypto/index.js';
import { ascii, codeOf, hex } from './support.js';

describe('Triple DES', () => {
  it('answers as SP 800-67 appendix B says', () => {
    const key = importSecretKey(hex('0123456789abcdef 23456789abcdef01 456789abcdef0123'));
    const expected = hex('a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900');
    const text = ascii('The qufck brown fox jump');
    expect(des3Encrypt(key, 'ecb', undefined, text, false)).to.deep.equal(expected);
    expect(des3Decrypt(key, 'ecb', undefined, expected, false)).to.deep.equal(text);
  });

  for (const mode of ['ecb', 'cbc'] as const) {
    it(`agrees with node:crypto in ${mode} at every length`, () => {
      const bytes = randomBytes(24);
      const key = importSecretKey(bytes);
      const iv = mode === 'ecb' ? undefined : randomBytes(8);
      for (let length = 0; length <= 25; length++) {
        for (const padding of length % 8 === 0 ? [true, false] : [true]) {
          const message = randomBytes(length);
          const name = mode === 'ecb' ? 'des-ede3' : 'des-ede3-cbc';
          const node = createCipheriv(name, bytes, iv ?? null).setAutoPadding(padding);
          const expected = Buffer.concat([node.update(message), node.final()]);
          expect(des3Encrypt(key, mode, iv, message, padding)).to.deep.equal(expected);
          expect(des3Decrypt(key, mode, iv, expected, padding)).to.deep.equal(message);
        }
      }
    });
  }

  it('refuses other keys, IVs and lengths, and broken padding', async () => {
    const key = importSecretKey(randomBytes(24));
    const encrypt = (with_: typeof key, iv: Buffer | undefined, length: number) => () =>
      des3Encrypt(with_, 'cbc', iv, Buffer.alloc(length), false);
    for (const length of [8, 16, 32])
      expect(await codeOf(encrypt(importSecretKey(randomBytes(length)), Buffer.alloc(8), 8))).to.equal(
        'INVALID_KEY',
      );
    expect(await codeOf(encrypt(key, Buffer.alloc(16), 8))).to.equal('INPUT_LENGTH');
    expect(await codeOf(encrypt(key, undefined, 8))).to.equal('INPUT_LENGTH');
    expect(await codeOf(encrypt(key, Buffer.alloc(8), 7))).to.equal('INPUT_LENGTH');
    const unpadded = des3Encrypt(key, 'ecb', undefined, Buffer.alloc(8), false);
    expect(await codeOf(() => des3Decrypt(key, 'ecb', undefined, unpadded, true))).to.equal(
      'DECRYPTION_FAILED',
    );
  });
});
