import { createHash } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { limits } from '../../src/base/limits.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { TestEngine } from '../support/engine.js';
import { generateAes, generateEc } from '../support/keys.js';
import { expectCkr, TestModule } from '../support/module.js';

const hashes = [
  ['sha1', 0x220],
  ['sha224', 0x255],
  ['sha256', 0x250],
  ['sha384', 0x260],
  ['sha512', 0x270],
] as const;

describe('digests and random', () => {
  let engine: TestEngine;
  let module: TestModule;
  let session: Buffer;

  before(async () => {
    engine = await TestEngine.start(['--hsms', '1']);
    module = new TestModule(engine);
    session = module.openSession();
  });

  after(async () => {
    module.close();
    await engine.stop();
  });

  for (const [hash, mechanism] of hashes) {
    it(`computes ${hash} without a login, whole and in parts, of up to 1 MiB`, () => {
      for (const length of [0, 1, 63, 64, 65, 16_384, 1_048_576]) {
        const input = Buffer.alloc(length, 0x61);
        const expected = createHash(hash).update(input).digest();
        module.p11.C_DigestInit(session, { mechanism });
        expect(module.p11.C_Digest(session, input, Buffer.alloc(64))).to.deep.equal(expected);
        module.p11.C_DigestInit(session, { mechanism });
        module.p11.C_DigestUpdate(session, input.subarray(0, 10));
        module.p11.C_DigestUpdate(session, input.subarray(10));
        expect(module.p11.C_DigestFinal(session, Buffer.alloc(64))).to.deep.equal(expected);
      }
    });
  }

  it('keeps a digest in parts through CKR_BUFFER_TOO_SMALL', () => {
    module.p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    module.p11.C_DigestUpdate(session, Buffer.from('abc'));
    expectCkr(CKR.CKR_BUFFER_TOO_SMALL, () => module.p11.C_DigestFinal(session, Buffer.alloc(31)));
    // FIPS 180-4's example.
    expect(module.p11.C_DigestFinal(session, Buffer.alloc(32)).toString('hex')).to.equal(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, () => module.p11.C_DigestFinal(session, Buffer.alloc(32)));
  });

  it('takes data whole or in parts, and neither a query for the length nor a short buffer decides which', () => {
    const { p11 } = module;
    const digestWhole = (): unknown => p11.C_Digest(session, Buffer.from('abc'), Buffer.alloc(32));
    p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    p11.C_DigestUpdate(session, Buffer.from('a'));
    expectCkr(CKR.CKR_OPERATION_ACTIVE, digestWhole);
    // A failed call ends the operation (v2.40 base, C_Digest).
    expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, digestWhole);
    p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    expectCkr(CKR.CKR_BUFFER_TOO_SMALL, () => p11.C_Digest(session, Buffer.from('abc'), Buffer.alloc(1)));
    p11.C_DigestUpdate(session, Buffer.from('a'));
    expectCkr(CKR.CKR_OPERATION_ACTIVE, digestWhole);
  });

  // "Digests and the hash half of SHAn_RSA_*/ECDSA_SHAn run in client software without limit" (reference section 0): what no frame
  // holds goes to the engine in pieces.
  it('computes one of more than a frame holds, whole or as one part', () => {
    const { p11 } = module;
    const input = Buffer.alloc(limits.frameBytes + 1, 0x61);
    const expected = createHash('sha256').update(input).digest();
    p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    expectCkr(CKR.CKR_BUFFER_TOO_SMALL, () => p11.C_Digest(session, input, Buffer.alloc(31)));
    expect(p11.C_Digest(session, input, Buffer.alloc(64))).to.deep.equal(expected);
    expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, () => p11.C_Digest(session, input, Buffer.alloc(32)));
    p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    p11.C_DigestUpdate(session, input);
    expect(p11.C_DigestFinal(session, Buffer.alloc(64))).to.deep.equal(expected);
    p11.C_DigestInit(session, { mechanism: pkcs11js.CKM_SHA256 });
    p11.C_DigestUpdate(session, Buffer.from('a'));
    expectCkr(CKR.CKR_OPERATION_ACTIVE, () => p11.C_Digest(session, input, Buffer.alloc(64)));
  });

  it('signs and verifies as much, and authenticates no more than an HSM takes', () => {
    const { p11 } = module;
    const loggedIn = module.openLoggedIn();
    const input = Buffer.alloc(limits.frameBytes + 1, 0x62);
    const { publicKey, privateKey } = generateEc(module, loggedIn);
    const mechanism = { mechanism: pkcs11js.CKM_ECDSA_SHA256 };
    p11.C_SignInit(loggedIn, mechanism, privateKey);
    const signature = p11.C_Sign(loggedIn, input, Buffer.alloc(64));
    for (const [data, valid] of [
      [input, true],
      [Buffer.concat([input, Buffer.from('c')]), false],
    ] as const) {
      p11.C_VerifyInit(loggedIn, mechanism, publicKey);
      const verify = () => p11.C_Verify(loggedIn, data, signature);
      if (valid) verify();
      else expectCkr(CKR.CKR_SIGNATURE_INVALID, verify);
    }
    const aes = generateAes(module, loggedIn);
    p11.C_SignInit(loggedIn, { mechanism: pkcs11js.CKM_AES_CMAC }, aes);
    expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_Sign(loggedIn, input, Buffer.alloc(16)));
    expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, () => p11.C_Sign(loggedIn, input, Buffer.alloc(16)));
  });

  it('gives random bytes of any length, never the same', () => {
    for (const length of [0, 1, 16, 4096, 1_048_576]) {
      const bytes = module.p11.C_GenerateRandom(session, Buffer.alloc(length));
      expect(bytes).to.have.length(length);
      if (length >= 16)
        expect(bytes).not.to.deep.equal(module.p11.C_GenerateRandom(session, Buffer.alloc(length)));
    }
  });
});
