import { type CipherGCM, createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import {
  type AesMode,
  aesDecrypt,
  aesEncrypt,
  aesGcmDecrypt,
  aesGcmEncrypt,
  aesGcmSeal,
  aesZeroBlock,
  des3Encrypt,
  des3ZeroBlock,
  importSecretKey,
  randomBytes,
  SEAL_BYTES,
} from '../../src/crypto/index.js';
import { codeOf, hex, noBytes } from './support.js';

// SP 800-38A appendix F: key, counter/IV and the four blocks all its examples share.
const key128 = hex('2b7e151628aed2a6abf7158809cf4f3c');
const iv = hex('000102030405060708090a0b0c0d0e0f');
const blocks = hex(`6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
  30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710`);

describe('AES in ECB, CBC and CTR', () => {
  it('answers as SP 800-38A F.1.1, F.2.1 and F.5.1 say', () => {
    const key = importSecretKey(key128);
    const first = (mode: AesMode, start?: Buffer) =>
      aesEncrypt(key, mode, start, blocks, false).subarray(0, 16).toString('hex');
    expect(first('ecb')).to.equal('3ad77bb40d7a3660a89ecaf32466ef97');
    expect(first('cbc', iv)).to.equal('7649abac8119b246cee98e9b12e9197d');
    expect(first('ctr', hex('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'))).to.equal(
      '874d6191b620e3261bef6864990db6ce',
    );
  });

  for (const keyLength of [16, 24, 32]) {
    for (const mode of ['ecb', 'cbc', 'ctr'] satisfies AesMode[]) {
      it(`aes-${keyLength * 8}-${mode} agrees with node:crypto at every length, padded or not`, () => {
        const bytes = randomBytes(keyLength);
        const key = importSecretKey(bytes);
        const start = mode === 'ecb' ? undefined : randomBytes(16);
        for (let length = 0; length <= 49; length++) {
          for (const padding of mode === 'ctr' || length % 16 === 0 ? [true, false] : [true]) {
            const message = randomBytes(length);
            const node = createCipheriv(`aes-${keyLength * 8}-${mode}`, bytes, start ?? null).setAutoPadding(
              padding,
            );
            const expected = Buffer.concat([node.update(message), node.final()]);
            expect(aesEncrypt(key, mode, start, message, padding)).to.deep.equal(expected);
            expect(aesDecrypt(key, mode, start, expected, padding)).to.deep.equal(message);
          }
        }
      });
    }
  }

  it('encrypts a block of zeros without a key object, under keys of any length one after the other', async () => {
    for (const keyLength of [16, 24, 32, 16]) {
      const bytes = randomBytes(keyLength);
      const expected = aesEncrypt(importSecretKey(bytes), 'ecb', undefined, Buffer.alloc(16), false);
      expect(aesZeroBlock(bytes)).to.deep.equal(expected);
      expect(await codeOf(() => aesZeroBlock(bytes.subarray(1)))).to.equal('INVALID_KEY');
      const des3 = randomBytes(24);
      const block = des3Encrypt(importSecretKey(des3), 'ecb', undefined, Buffer.alloc(8), false);
      expect(des3ZeroBlock(des3)).to.deep.equal(block);
    }
  });

  it('counts modulo 2^128 in CTR', () => {
    const key = importSecretKey(key128);
    const stream = aesEncrypt(key, 'ctr', Buffer.alloc(16, 0xff), Buffer.alloc(32), false);
    expect(stream.subarray(16)).to.deep.equal(aesEncrypt(key, 'ecb', undefined, Buffer.alloc(16), false));
  });

  it('starts afresh after a refused call', async () => {
    const key = importSecretKey(key128);
    expect(await codeOf(() => aesDecrypt(key, 'cbc', iv, blocks, true))).to.equal('DECRYPTION_FAILED');
    const sealed = aesEncrypt(key, 'cbc', iv, blocks, true);
    expect(aesDecrypt(key, 'cbc', iv, sealed, true)).to.deep.equal(blocks);
  });

  it('refuses wrong lengths and keys', async () => {
    const key = importSecretKey(key128);
    const partial = blocks.subarray(0, 17);
    expect(await codeOf(() => aesEncrypt(key, 'cbc', iv, partial, false))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesDecrypt(key, 'ecb', undefined, partial, true))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesDecrypt(key, 'cbc', iv, noBytes, true))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesEncrypt(key, 'cbc', undefined, blocks, true))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesEncrypt(key, 'ctr', noBytes, blocks, true))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesEncrypt(key, 'ecb', iv, blocks, true))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => importSecretKey(noBytes))).to.equal('INVALID_KEY');
    const short = importSecretKey(Buffer.alloc(15));
    expect(await codeOf(() => aesEncrypt(short, 'cbc', iv, blocks, true))).to.equal('INVALID_KEY');
    key.destroy();
    expect(await codeOf(() => aesEncrypt(key, 'cbc', iv, blocks, true))).to.equal('INVALID_KEY');
    expect(key.lengthBytes).to.equal(16);
  });
});

describe('AES-GCM', () => {
  it('agrees with node:crypto for IV, AAD, tag and text of many lengths on one key', () => {
    const bytes = randomBytes(32);
    const key = importSecretKey(bytes);
    for (const ivLength of [12, 1, 16, 12, 128, 13]) {
      for (const aadLength of [0, 1, 16, 33]) {
        for (const tagLength of [16, 12, 4, 1]) {
          for (const length of [0, 1, 15, 16, 17, 1000]) {
            const [start, aad, message] = [
              randomBytes(ivLength),
              randomBytes(aadLength),
              randomBytes(length),
            ];
            const sealed = aesGcmEncrypt(key, start, aad, tagLength, message);
            expect(sealed).to.deep.equal(nodeGcm(bytes, start, aad, tagLength, message));
            expect(aesGcmDecrypt(key, start, aad, tagLength, sealed)).to.deep.equal(message);
          }
        }
      }
    }
  });

  it('takes IVs longer than the 128 bytes OpenSSL knows', async () => {
    const key = importSecretKey(key128);
    for (const ivLength of [129, 144, 256]) {
      const start = randomBytes(ivLength);
      const sealed = aesGcmEncrypt(key, start, noBytes, 16, blocks);
      expect(aesGcmDecrypt(key, start, noBytes, 16, sealed)).to.deep.equal(blocks);
      start[ivLength - 1]! ^= 1;
      expect(await codeOf(() => aesGcmDecrypt(key, start, noBytes, 16, sealed))).to.equal(
        'AUTHENTICATION_FAILED',
      );
    }
  });

  it('refuses every changed bit', async () => {
    const key = importSecretKey(key128);
    const aad = Buffer.from('aad');
    const sealed = aesGcmEncrypt(key, iv, aad, 16, Buffer.from('text'));
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(await codeOf(() => aesGcmDecrypt(key, iv, aad, 16, changed))).to.equal('AUTHENTICATION_FAILED');
    }
    expect(aesGcmDecrypt(key, iv, aad, 16, sealed).toString()).to.equal('text');
  });

  it('refuses wrong lengths and keys', async () => {
    const key = importSecretKey(key128);
    expect(await codeOf(() => aesGcmEncrypt(key, noBytes, noBytes, 16, blocks))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => aesGcmDecrypt(key, iv, noBytes, 16, noBytes))).to.equal('INPUT_LENGTH');
    for (const tagLength of [0, 17, -1, 1.5, Number.NaN]) {
      expect(await codeOf(() => aesGcmEncrypt(key, iv, noBytes, tagLength, blocks))).to.equal('UNSUPPORTED');
    }
    const short = importSecretKey(Buffer.alloc(1));
    expect(await codeOf(() => aesGcmEncrypt(short, iv, noBytes, 16, blocks))).to.equal('INVALID_KEY');
    aesGcmEncrypt(key, iv, noBytes, 16, blocks);
    key.destroy();
    key.destroy();
    expect(await codeOf(() => aesGcmEncrypt(key, iv, noBytes, 16, blocks))).to.equal('INVALID_KEY');
  });
});

function nodeGcm(key: Buffer, start: Buffer, aad: Buffer, tagLength: number, message: Buffer): Buffer {
  // Node refuses to make tags of 1 byte, so take the front of the whole one, which is the same by definition.
  const cipher: CipherGCM = createCipheriv('aes-256-gcm', key, start);
  cipher.setAAD(aad);
  const text = Buffer.concat([cipher.update(message), cipher.final()]);
  return Buffer.concat([text, cipher.getAuthTag().subarray(0, tagLength)]);
}

describe('sealing with AES-GCM', () => {
  const key = importSecretKey(Buffer.alloc(32, 5));
  const aad = Buffer.from('who it is for');
  const sealed = (plaintext: Buffer): Buffer => {
    const output = Buffer.alloc(plaintext.length + SEAL_BYTES);
    aesGcmSeal(key, aad, plaintext, output);
    return output;
  };

  it('is AES-GCM under an IV of 12 bytes, which stands before it', () => {
    for (const plaintext of [noBytes, Buffer.from('a record'), randomBytes(5000)]) {
      const output = sealed(plaintext);
      const [iv, rest] = [output.subarray(0, 12), output.subarray(12)];
      expect(rest).to.deep.equal(aesGcmEncrypt(key, iv, aad, 16, plaintext));
    }
  });

  it('has another IV each time', () => {
    const ivs = Array.from({ length: 1000 }, () => sealed(noBytes).toString('hex', 0, 12));
    expect(new Set(ivs).size).to.equal(1000);
  });

  it('refuses an output that is too small, and a key that is gone', async () => {
    const gone = importSecretKey(Buffer.alloc(32, 5));
    gone.destroy();
    const seal = (by: typeof key, length: number) => () => aesGcmSeal(by, aad, noBytes, Buffer.alloc(length));
    expect(await codeOf(seal(key, SEAL_BYTES - 1))).to.equal('INPUT_LENGTH');
    expect(await codeOf(seal(gone, SEAL_BYTES))).to.equal('INVALID_KEY');
  });
});
