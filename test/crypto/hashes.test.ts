import { createHash, timingSafeEqual } from 'node:crypto';
import { expect } from 'chai';
import {
  blockLengthBytes,
  constantTimeEqual,
  createDigest,
  digest,
  digestAnywhere,
  type HashName,
  hashLengthBytes,
  hashPassword,
  randomBytes,
  verifyPassword,
} from '../../src/crypto/index.js';
import { ascii, codeOf, noBytes } from './support.js';

const hashes = Object.keys(hashLengthBytes) as HashName[];

describe('hashes', () => {
  it('answers "abc" as FIPS 180-2 appendices A.1, B.1 and C.1 say', () => {
    expect(digest('sha1', ascii('abc')).toString('hex')).to.equal('a9993e364706816aba3e25717850c26c9cd0d89d');
    expect(digest('sha256', ascii('abc')).toString('hex')).to.equal(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expect(digest('sha512', ascii('abc')).toString('hex').slice(0, 32)).to.equal(
      'ddaf35a193617abacc417349ae204131',
    );
  });

  for (const hash of hashes) {
    it(`${hash} agrees with node:crypto at every length around its block, in one go and in pieces`, () => {
      const data = randomBytes(2 * blockLengthBytes[hash] + 1);
      for (let length = 0; length <= data.length; length++) {
        const part = data.subarray(0, length);
        const expected = createHash(hash).update(part).digest();
        expect(expected.length).to.equal(hashLengthBytes[hash]);
        expect(digest(hash, part)).to.deep.equal(expected);
        const running = createDigest(hash);
        for (const half of [part.subarray(0, length >> 1), noBytes, part.subarray(length >> 1)]) {
          running.update(half);
        }
        expect(running.finish()).to.deep.equal(expected);
      }
    });
  }

  it('are the same on another thread, many at once, and keep their data until then', async () => {
    const data = Array.from({ length: 8 }, (_, at) => randomBytes(256 * 1024 + at));
    const answers = hashes.flatMap((hash) =>
      data.map((bytes) => ({ hash, bytes, value: digestAnywhere(hash, bytes) })),
    );
    for (const { hash, bytes, value } of answers) {
      expect(value).to.be.a('promise');
      expect(await value).to.deep.equal(createHash(hash).update(bytes).digest());
    }
    expect(digestAnywhere('sha256', ascii('abc'))).to.deep.equal(digest('sha256', ascii('abc')));
  });

  it('refuses a finished digest, an unknown hash, and what is not bytes', async () => {
    const running = createDigest('sha256');
    running.finish();
    expect(await codeOf(() => running.update(noBytes))).to.equal('OPERATION_FAILED');
    expect(await codeOf(() => running.finish())).to.equal('OPERATION_FAILED');
    expect(() => digest('md5' as HashName, noBytes)).to.throw();
    expect(() => digest('sha256', 'text' as unknown as Uint8Array)).to.throw(TypeError);
  });

  it('refuses more than 2^31 - 1 bytes', async () => {
    const huge = Buffer.allocUnsafeSlow(2 ** 31); // never touched, so it costs address space only
    expect(await codeOf(() => digest('sha256', huge))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => randomBytes(2 ** 31))).to.equal('INPUT_LENGTH');
  });
});

describe('random, equality, passwords', () => {
  it('gives as many random bytes as asked, never the same', () => {
    expect(randomBytes(0)).to.have.length(0);
    expect(randomBytes(100_000)).to.have.length(100_000);
    expect(randomBytes(16)).not.to.deep.equal(randomBytes(16));
  });

  it('refuses impossible lengths', async () => {
    expect(await codeOf(() => randomBytes(-1))).to.equal('INPUT_LENGTH');
    expect(await codeOf(() => randomBytes(Number.NaN))).to.equal('INPUT_LENGTH');
  });

  it('compares byte strings of any lengths', () => {
    expect(constantTimeEqual(noBytes, noBytes)).to.equal(true);
    expect(constantTimeEqual(ascii('ab'), ascii('ab'))).to.equal(timingSafeEqual(ascii('ab'), ascii('ab')));
    expect(constantTimeEqual(ascii('ab'), ascii('ac'))).to.equal(false);
    expect(constantTimeEqual(ascii('ab'), ascii('abc'))).to.equal(false);
  });

  it('verifies the password it hashed and no other', async () => {
    const stored = await hashPassword('pässword:1');
    expect(stored).to.match(/^scrypt\$16384\$8\$1\$/);
    expect(stored).not.to.equal(await hashPassword('pässword:1'));
    expect(await verifyPassword('pässword:1', stored)).to.equal(true);
    expect(await verifyPassword('pässword:2', stored)).to.equal(false);
    expect(await verifyPassword('', stored)).to.equal(false);
    expect(await verifyPassword('', await hashPassword(''))).to.equal(true);
  });

  it('tells a password from the same with NULs behind it, which HMAC does not (RFC 2104, section 2)', async () => {
    const stored = await hashPassword('password');
    for (const longer of ['password\0', `password${'\0'.repeat(24)}`])
      expect(await verifyPassword(longer, stored)).to.equal(false);
  });

  it('refuses stored text of another form', async () => {
    for (const stored of ['', 'plain', 'scrypt$1$1$1$$', 'bcrypt$16384$8$1$AAAA$AAAA']) {
      expect(await codeOf(() => verifyPassword('x', stored))).to.equal('UNSUPPORTED');
    }
  });
});
