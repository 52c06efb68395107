import * as node from 'node:crypto';
import { expect } from 'chai';
import {
  curves,
  digest,
  ecdhDerive,
  ecdsaSign,
  ecdsaVerify,
  ecPrivateKeyInfo,
  ecPublicComponents,
  generateEcKeyPair,
  generateRsaKeyPair,
  importPrivateKey,
  importPublicKey,
  randomBytes,
} from '../../src/crypto/index.js';
import { ascii, codeOf, hex, noBytes, privateDer, publicDer } from './support.js';

const message = ascii('message');

for (const { name, orderLengthBytes, fieldBits } of curves) {
  describe(`EC on ${name}`, () => {
    it('signs and verifies as node:crypto does', async () => {
      const pair = await generateEcKeyPair(name);
      const [key, publicKey] = [importPrivateKey(pair.pkcs8), importPublicKey(pair.spki)];
      expect([key.type, key.isPrivate, key.bits, key.curve]).to.deep.equal(['ec', true, fieldBits, name]);
      expect([publicKey.isPrivate, publicKey.curve]).to.deep.equal([false, name]);
      const dsaEncoding = 'ieee-p1363';
      for (const hash of ['sha1', 'sha256', 'sha512'] as const) {
        const value = digest(hash, message);
        const signature = await ecdsaSign(key, value);
        expect(signature).to.have.length(2 * orderLengthBytes);
        expect(await ecdsaVerify(publicKey, value, signature)).to.equal(true);
        expect(await ecdsaVerify(key, value, signature)).to.equal(true);
        expect(node.verify(hash, message, { ...publicDer(pair), dsaEncoding }, signature)).to.equal(true);
        const other = node.sign(hash, message, { ...privateDer(pair), dsaEncoding });
        expect(await ecdsaVerify(publicKey, value, other)).to.equal(true);
        signature[signature.length - 1]! ^= 1;
        expect(await ecdsaVerify(publicKey, value, signature)).to.equal(false);
      }
    });

    it('signs digests of any length and pads short r and s', async () => {
      const pair = await generateEcKeyPair(name);
      const [key, publicKey] = [importPrivateKey(pair.pkcs8), importPublicKey(pair.spki)];
      for (const length of [0, 1, orderLengthBytes, orderLengthBytes + 1, 1000]) {
        const value = randomBytes(length);
        expect(await ecdsaVerify(publicKey, value, await ecdsaSign(key, value))).to.equal(true);
      }
      // One of 256 numbers starts with a zero byte, so this soon finds some.
      const padded: Buffer[] = [];
      while (padded.length === 0) {
        const signatures = await Promise.all(Array.from({ length: 200 }, () => ecdsaSign(key, message)));
        padded.push(...signatures.filter((found) => found[0] === 0 || found[orderLengthBytes] === 0));
      }
      for (const signature of padded) expect(await ecdsaVerify(publicKey, message, signature)).to.equal(true);
    });

    it('finds other lengths, zeros and the order itself no signature', async () => {
      const publicKey = importPublicKey((await generateEcKeyPair(name)).spki);
      for (const length of [0, 1, 2 * orderLengthBytes - 1, 2 * orderLengthBytes, 2 * orderLengthBytes + 1]) {
        expect(await ecdsaVerify(publicKey, message, Buffer.alloc(length))).to.equal(false);
        expect(await ecdsaVerify(publicKey, message, Buffer.alloc(length, 0xff))).to.equal(false);
      }
    });

    it('derives the secret node:crypto derives, from either form of the point', async () => {
      const [ours, theirs] = [await generateEcKeyPair(name), await generateEcKeyPair(name)];
      const expected = node.diffieHellman({
        privateKey: node.createPrivateKey(privateDer(theirs)),
        publicKey: node.createPublicKey(publicDer(ours)),
      });
      const { point } = ecPublicComponents(theirs.spki);
      const fieldLength = (point.length - 1) / 2;
      const compressed = Buffer.concat([
        Buffer.of(2 + (point.at(-1)! & 1)),
        point.subarray(1, 1 + fieldLength),
      ]);
      for (const form of [point, compressed]) {
        expect(await ecdhDerive(importPrivateKey(ours.pkcs8), form)).to.deep.equal(expected);
      }
    });

    it('refuses points that are not on the curve, and keys that cannot do it', async () => {
      const pair = await generateEcKeyPair(name);
      const [key, publicKey] = [importPrivateKey(pair.pkcs8), importPublicKey(pair.spki)];
      const { point } = ecPublicComponents(pair.spki);
      const wrong = Buffer.from(point);
      wrong[wrong.length - 1]! ^= 1;
      const hybrid = Buffer.from(point);
      hybrid[0] = 6 + (point.at(-1)! & 1);
      for (const bad of [
        wrong,
        hybrid,
        noBytes,
        Buffer.of(0),
        point.subarray(1),
        Buffer.concat([point, point]),
      ]) {
        expect(await codeOf(() => ecdhDerive(key, bad))).to.equal('INVALID_POINT');
      }
      expect(await codeOf(() => ecdhDerive(publicKey, point))).to.equal('INVALID_KEY');
      expect(await codeOf(() => ecdsaSign(publicKey, message))).to.equal('INVALID_KEY');
      const rsa = importPrivateKey((await generateRsaKeyPair(512, Buffer.of(3))).pkcs8);
      expect(await codeOf(() => ecdsaSign(rsa, message))).to.equal('INVALID_KEY');
      expect(await codeOf(() => ecdsaVerify(rsa, message, message))).to.equal('INVALID_KEY');
    });
  });
}

describe('known EC answers', () => {
  it('verifies the P-256 signature of RFC 6979 A.2.5', async () => {
    const scalar = hex('C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721');
    const signature = hex(`EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716
      F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8`);
    const key = importPrivateKey(ecPrivateKeyInfo('P-256', scalar));
    expect(await ecdsaVerify(key, digest('sha256', ascii('sample')), signature)).to.equal(true);
  });

  it('derives the P-256 secret of RFC 5903 section 8.1', async () => {
    const scalar = hex('C88F01F5 10D9AC3F 70A292DA A2316DE5 44E9AAB8 AFE84049 C62A9C57 862D1433');
    const peer = hex(`04 D12DFB52 89C8D4F8 1208B702 70398C34 2296970A 0BCCB74C 736FC755 4494BF63
      56FBF3CA 366CC23E 8157854C 13C58D6A AC23F046 ADA30F83 53E74F33 039872AB`);
    const secret = hex('D6840F6B 42F6EDAF D13116E0 E1256520 2FEF8E9E CE7DCE03 812464D0 4B9442DE');
    expect(await ecdhDerive(importPrivateKey(ecPrivateKeyInfo('P-256', scalar)), peer)).to.deep.equal(secret);
  });
});
