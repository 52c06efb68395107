import { createHash, createPrivateKey, createPublicKey, verify as nodeVerify } from 'node:crypto';
import { expect } from 'chai';
import {
  ed25519Point,
  ed25519PublicKeyInfo,
  generateMessageKeyPair,
  hasMessageAlgorithm,
  importMessageKey,
  isEd25519,
  type MessageForm,
  messageAlgorithms,
  messageSign,
  messageSignatureBytes,
  messageVerify,
} from '../../src/crypto/index.js';
import { ascii, codeOf, hex, noBytes, privateDer, publicDer } from './support.js';

/** PrivateKeyInfo of RFC 8410 around a private key of RFC 8032. */
const pkcs8Of = (seed: string) => hex(`302e020100300506032b657004220420${seed}`);
const spkiOf = (point: string) => hex(`302a300506032b6570032100${point}`);

/** RFC 8032, sections 7.1 (TEST 1, 2, 3) and 7.3 (TEST abc): [form, private key, public key, message, signature]. */
const known: readonly [MessageForm, string, string, Buffer, string][] = [
  [
    'pure',
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    noBytes,
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    'pure',
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    hex('72'),
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'pure',
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    hex('af82'),
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    'prehash',
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    createHash('sha512').update('abc').digest(),
    '98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae4131f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406',
  ],
];

/** Ed25519ph and ML-DSA are not in every OpenSSL: their tests run where they are. */
const needs = (test: Mocha.Context, ...wanted: Parameters<typeof hasMessageAlgorithm>): void => {
  if (!hasMessageAlgorithm(...wanted)) test.skip();
};

describe('Ed25519', () => {
  for (const [at, [form, seed, point, message, signature]] of known.entries()) {
    it(`answers as RFC 8032 says: ${form}, example ${at + 1}`, async function () {
      needs(this, 'ED25519', form);
      expect(
        (await messageSign(importMessageKey(pkcs8Of(seed), true), form, message)).toString('hex'),
      ).to.equal(signature);
      const publicKey = importMessageKey(spkiOf(point), false);
      expect(await messageVerify(publicKey, form, message, hex(signature))).to.equal(true);
      expect(await messageVerify(publicKey, form, ascii('other'), hex(signature))).to.equal(false);
      expect(await messageVerify(publicKey, form, message, hex(signature).subarray(1))).to.equal(false);
    });
  }

  it('keys from here are keys elsewhere', async () => {
    const pair = await generateMessageKeyPair('ED25519');
    expect(isEd25519(pair.spki) && isEd25519(pair.pkcs8)).to.equal(true);
    const publicKey = createPublicKey(publicDer(pair));
    expect(createPublicKey(createPrivateKey(privateDer(pair))).equals(publicKey)).to.equal(true);
    expect(publicKey.export({ format: 'jwk' }).x).to.equal(ed25519Point(pair.spki).toString('base64url'));
    expect(ed25519PublicKeyInfo(ed25519Point(pair.spki))).to.deep.equal(pair.spki);
    const signature = await messageSign(importMessageKey(pair.pkcs8, true), 'pure', ascii('data'));
    expect(nodeVerify(null, ascii('data'), publicKey, signature)).to.equal(true);
  });

  it('says so where the running OpenSSL has no such form, instead of signing something else', async function () {
    if (hasMessageAlgorithm('ED25519', 'prehash')) this.skip();
    const { pkcs8 } = await generateMessageKeyPair('ED25519');
    expect(
      await codeOf(() => messageSign(importMessageKey(pkcs8, true), 'prehash', Buffer.alloc(64))),
    ).to.equal('UNSUPPORTED');
  });

  it('refuses keys of other kinds, broken ones and trailing bytes', async () => {
    const { pkcs8, spki } = await generateMessageKeyPair('ED25519');
    const code = (der: Buffer, isPrivate: boolean) => codeOf(() => importMessageKey(der, isPrivate));
    expect(await code(spki, true)).to.equal('INVALID_KEY');
    expect(await code(pkcs8, false)).to.equal('INVALID_KEY');
    expect(await code(Buffer.concat([spki, Buffer.alloc(1)]), false)).to.equal('INVALID_KEY');
    expect(await code(noBytes, true)).to.equal('INVALID_KEY');
    const x25519 = Buffer.from(spki);
    x25519[8] = 0x6e;
    expect(await code(x25519, false)).to.equal('UNSUPPORTED');
    const key = importMessageKey(pkcs8, true);
    key.destroy();
    expect(await codeOf(() => messageSign(key, 'pure', noBytes))).to.equal('INVALID_KEY');
    expect(await codeOf(() => messageSign(importMessageKey(spki, false), 'pure', noBytes))).to.equal(
      'INVALID_KEY',
    );
  });
});

/** mu of FIPS 204 (algorithm 7, line 6) with an empty context: SHAKE256(SHAKE256(pk) ‖ 00 ‖ 00 ‖ M), 64 bytes each. */
function muOf(publicKey: Buffer, message: Buffer): Buffer {
  const shake = (data: Buffer) => createHash('shake256', { outputLength: 64 }).update(data).digest();
  return shake(Buffer.concat([shake(publicKey), Buffer.alloc(2), message]));
}

/** Bytes of the public keys, which stand at the end of the SubjectPublicKeyInfo (FIPS 204, table 2). */
const publicKeyBytes = { 'ML-DSA-44': 1312, 'ML-DSA-65': 1952, 'ML-DSA-87': 2592 } as const;

describe('ML-DSA', () => {
  for (const algorithm of ['ML-DSA-44', 'ML-DSA-65', 'ML-DSA-87'] as const) {
    it(`${algorithm} signs what node:crypto verifies, and by mu what it verifies by the message`, async function () {
      needs(this, algorithm, 'pure');
      const { pkcs8, spki } = await generateMessageKeyPair(algorithm);
      const [privateKey, publicKey] = [importMessageKey(pkcs8, true), importMessageKey(spki, false)];
      const message = ascii('The quick brown fox jumps over the lazy dog');
      const signature = await messageSign(privateKey, 'pure', message);
      expect(signature).to.have.length(messageSignatureBytes(algorithm));
      expect(await messageVerify(publicKey, 'pure', message, signature)).to.equal(true);
      expect(await messageVerify(publicKey, 'pure', ascii('other'), signature)).to.equal(false);
      expect(nodeVerify(null, message, { key: spki, format: 'der', type: 'spki' }, signature)).to.equal(true);
      const mu = muOf(spki.subarray(-publicKeyBytes[algorithm]), message);
      const byMu = await messageSign(privateKey, 'mu', mu);
      expect(await messageVerify(publicKey, 'pure', message, byMu)).to.equal(true);
      expect(await messageVerify(publicKey, 'mu', mu, signature)).to.equal(true);
    });
  }

  it('has its three parameter sets, or none', () => {
    const there = messageAlgorithms.slice(1).map((algorithm) => hasMessageAlgorithm(algorithm, 'pure'));
    expect(there).to.have.length(3);
    expect(new Set(there).size).to.equal(1);
  });
});
