import * as node from 'node:crypto';
import { expect } from 'chai';
import {
  type AsymmetricKey,
  digest,
  generateEcKeyPair,
  generateRsaKeyPair,
  type HashName,
  hashLengthBytes,
  importPrivateKey,
  importPublicKey,
  type KeyPairDer,
  type RsaSignaturePadding,
  randomBytes,
  rsaDecrypt,
  rsaEncrypt,
  rsaPublicComponents,
  rsaSign,
  rsaVerify,
} from '../../src/crypto/index.js';
import { ascii, codeOf, digestInfo, noBytes, privateDer, publicDer } from './support.js';

const k = 256;
const pkcs1 = { scheme: 'pkcs1' } as const;
const none = { scheme: 'none' } as const;
const pss = (hash: HashName, mgfHash: HashName, saltLengthBytes: number): RsaSignaturePadding => ({
  scheme: 'pss',
  hash,
  mgfHash,
  saltLengthBytes,
});
const hashes = Object.keys(hashLengthBytes) as HashName[];
const message = ascii('message');

describe('RSA', () => {
  let pair: KeyPairDer;
  let key: AsymmetricKey;
  let publicKey: AsymmetricKey;

  before(async () => {
    pair = await generateRsaKeyPair(8 * k, Buffer.from([1, 0, 1]));
    key = importPrivateKey(pair.pkcs8);
    publicKey = importPublicKey(pair.spki);
  });

  it('describes its keys', () => {
    expect([key.type, key.isPrivate, key.bits, key.curve]).to.deep.equal(['rsa', true, 2048, undefined]);
    expect([publicKey.type, publicKey.isPrivate, publicKey.bits]).to.deep.equal(['rsa', false, 2048]);
  });

  for (const hash of hashes) {
    it(`signs PKCS#1 v1.5 with ${hash} as node:crypto does`, async () => {
      const input = digestInfo(hash, digest(hash, message));
      const signature = await rsaSign(key, pkcs1, input);
      expect(signature).to.deep.equal(node.sign(hash, message, privateDer(pair)));
      expect(rsaVerify(publicKey, pkcs1, input, signature)).to.equal(true);
      expect(rsaVerify(key, pkcs1, input, signature)).to.equal(true);
      expect(rsaVerify(publicKey, pkcs1, digestInfo(hash, digest(hash, noBytes)), signature)).to.equal(false);
    });

    it(`signs and verifies PSS with ${hash} and any salt, as node:crypto does`, async () => {
      const input = digest(hash, message);
      const padding = node.constants.RSA_PKCS1_PSS_PADDING;
      for (const saltLength of [0, 1, hashLengthBytes[hash], k - hashLengthBytes[hash] - 2]) {
        const signature = await rsaSign(key, pss(hash, hash, saltLength), input);
        expect(rsaVerify(publicKey, pss(hash, hash, saltLength), input, signature)).to.equal(true);
        expect(node.verify(hash, message, { ...publicDer(pair), padding, saltLength }, signature)).to.equal(
          true,
        );
        expect(
          rsaVerify(publicKey, pss(hash, hash, saltLength === 0 ? 1 : saltLength - 1), input, signature),
        ).to.equal(false);
      }
    });

    it(`encrypts OAEP with ${hash}, with label and without, as node:crypto does`, async () => {
      for (const label of [noBytes, ascii('label')]) {
        const padding = { scheme: 'oaep', hash, mgfHash: hash, label } as const;
        for (const length of [0, 1, k - 2 * hashLengthBytes[hash] - 2]) {
          const text = randomBytes(length);
          const sealed = rsaEncrypt(publicKey, padding, text);
          expect(await rsaDecrypt(key, padding, sealed)).to.deep.equal(text);
          const options = { oaepHash: hash, oaepLabel: label };
          expect(node.privateDecrypt({ ...privateDer(pair), ...options }, sealed)).to.deep.equal(text);
          const other = node.publicEncrypt({ ...publicDer(pair), ...options }, text);
          expect(await rsaDecrypt(key, padding, other)).to.deep.equal(text);
        }
        const other = { ...padding, label: ascii('other') };
        const sealed = rsaEncrypt(publicKey, padding, message);
        expect(await codeOf(() => rsaDecrypt(key, other, sealed))).to.equal('DECRYPTION_FAILED');
      }
    });
  }

  it('keeps the MGF1 hash apart from the hash', async () => {
    const input = digest('sha256', message);
    const signature = await rsaSign(key, pss('sha256', 'sha1', 32), input);
    expect(rsaVerify(publicKey, pss('sha256', 'sha1', 32), input, signature)).to.equal(true);
    expect(rsaVerify(publicKey, pss('sha256', 'sha256', 32), input, signature)).to.equal(false);
    const oaep = { scheme: 'oaep', hash: 'sha256', mgfHash: 'sha1', label: noBytes } as const;
    const sealed = rsaEncrypt(publicKey, oaep, message);
    expect(await rsaDecrypt(key, oaep, sealed)).to.deep.equal(message);
    expect(await codeOf(() => rsaDecrypt(key, { ...oaep, mgfHash: 'sha256' }, sealed))).to.equal(
      'DECRYPTION_FAILED',
    );
  });

  it('signs inputs of 0 to k - 11 bytes with PKCS#1 v1.5', async () => {
    for (const length of [0, 1, 100, k - 11]) {
      const input = randomBytes(length);
      const signature = await rsaSign(key, pkcs1, input);
      expect(rsaVerify(publicKey, pkcs1, input, signature)).to.equal(true);
      expect(node.publicDecrypt(publicDer(pair), signature)).to.deep.equal(input);
    }
    expect(await codeOf(() => rsaSign(key, pkcs1, Buffer.alloc(k - 10)))).to.equal('INPUT_LENGTH');
  });

  it('encrypts PKCS#1 v1.5', async () => {
    for (const length of [0, 1, k - 11]) {
      const text = randomBytes(length);
      expect(await rsaDecrypt(key, pkcs1, rsaEncrypt(publicKey, pkcs1, text))).to.deep.equal(text);
    }
    expect(await codeOf(() => rsaEncrypt(publicKey, pkcs1, Buffer.alloc(k - 10)))).to.equal('INPUT_LENGTH');
  });

  it('does raw RSA on exactly k bytes below the modulus, leading zeros kept', async () => {
    const input = Buffer.concat([Buffer.alloc(2), randomBytes(k - 2)]);
    const signature = await rsaSign(key, none, input);
    expect(signature).to.have.length(k);
    expect(rsaVerify(publicKey, none, input, signature)).to.equal(true);
    expect(rsaEncrypt(publicKey, none, signature)).to.deep.equal(input);
    expect(await rsaDecrypt(key, none, rsaEncrypt(publicKey, none, input))).to.deep.equal(input);
    for (const length of [0, k - 1, k + 1]) {
      expect(await codeOf(() => rsaSign(key, none, Buffer.alloc(length)))).to.equal('INPUT_LENGTH');
      expect(await codeOf(() => rsaEncrypt(key, none, Buffer.alloc(length)))).to.equal('INPUT_LENGTH');
    }
    const { modulus } = rsaPublicComponents(pair.spki);
    expect(await codeOf(() => rsaSign(key, none, modulus))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => rsaEncrypt(key, none, modulus))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => rsaDecrypt(key, none, modulus))).to.equal('DECRYPTION_FAILED');
  });

  it('finds signatures and ciphertexts of the wrong length wrong', async () => {
    const input = digestInfo('sha256', digest('sha256', message));
    const signature = await rsaSign(key, pkcs1, input);
    for (const wrong of [noBytes, signature.subarray(1), Buffer.concat([Buffer.alloc(1), signature])]) {
      for (const padding of [pkcs1, pss('sha256', 'sha256', 32)]) {
        const value = padding === pkcs1 ? input : digest('sha256', message);
        expect(rsaVerify(publicKey, padding, value, wrong)).to.equal(false);
      }
      expect(await codeOf(() => rsaDecrypt(key, pkcs1, wrong))).to.equal('INPUT_LENGTH');
    }
    expect(rsaVerify(publicKey, pkcs1, input, Buffer.alloc(k, 0xff))).to.equal(false);
  });

  it('refuses keys that cannot do it and PSS that does not fit', async () => {
    const ec = await generateEcKeyPair('P-256');
    expect(await codeOf(() => rsaSign(importPrivateKey(ec.pkcs8), pkcs1, message))).to.equal('INVALID_KEY');
    expect(await codeOf(() => rsaSign(publicKey, pkcs1, message))).to.equal('INVALID_KEY');
    expect(await codeOf(() => rsaDecrypt(publicKey, pkcs1, Buffer.alloc(k)))).to.equal('INVALID_KEY');
    expect(await codeOf(() => rsaSign(key, pss('sha256', 'sha256', 32), message))).to.equal('INPUT_LENGTH');
    const tooMuchSalt = pss('sha256', 'sha256', k - 33);
    expect(await codeOf(() => rsaSign(key, tooMuchSalt, digest('sha256', message)))).to.equal('UNSUPPORTED');
  });

  it('uses keys with small and large exponents', async () => {
    for (const exponent of [Buffer.from([3]), Buffer.from('0100000000000000000000000000000001', 'hex')]) {
      const other = await generateRsaKeyPair(1024, exponent);
      const signature = await rsaSign(importPrivateKey(other.pkcs8), pkcs1, message);
      expect(rsaVerify(importPublicKey(other.spki), pkcs1, message, signature)).to.equal(true);
    }
  });
});
