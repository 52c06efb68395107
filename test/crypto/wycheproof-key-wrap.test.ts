import { expect } from 'chai';
import { aesKeyUnwrap, aesKeyWrap, importSecretKey, type KeyWrapMode } from '../../src/crypto/index.js';
import { bytesOf, vectors } from '../support/wycheproof.js';
import { codeOf } from './support.js';

describe('Wycheproof: AES key wrap', () => {
  const files: readonly [string, KeyWrapMode][] = [
    ['aes_wrap_test.json', 'KW'],
    ['aes_kwp_test.json', 'KWP'],
  ];
  for (const [file, mode] of files) {
    vectors(file, async (test) => {
      const [message, wrapped] = [bytesOf(test, 'msg'), bytesOf(test, 'ct')];
      const key = importSecretKey(bytesOf(test, 'key'));
      // "Acceptable" are keys of one semiblock, which RFC 3394 does not have.
      if (test.result !== 'valid') {
        const code = await codeOf(() => aesKeyUnwrap(mode, key, wrapped));
        expect(code).to.be.oneOf(['AUTHENTICATION_FAILED', 'INPUT_LENGTH']);
        return;
      }
      expect(aesKeyWrap(mode, key, message)).to.deep.equal(wrapped);
      expect(aesKeyUnwrap(mode, key, wrapped)).to.deep.equal(message);
    });
  }

  it('refuses a destroyed key', async () => {
    const key = importSecretKey(Buffer.alloc(16));
    key.destroy();
    expect(await codeOf(() => aesKeyWrap('KW', key, Buffer.alloc(16)))).to.equal('INVALID_KEY');
  });
});
