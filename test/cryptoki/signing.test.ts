import { constants, createHmac, createPublicKey, verify as nodeVerify } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import {
  type Curve,
  curveOids,
  generateAes,
  generateEc,
  generateRsa,
  importSecret,
  publicKeyOf,
} from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

const data = Buffer.from('The quick brown fox jumps over the lazy dog');

/** Mechanisms by hash: [node's name, RSA PKCS#1, RSA PSS, hash mechanism, MGF, ECDSA, HMAC]. (pkcs11t.h v2.40) */
const hashes = [
  ['sha1', 0x06, 0x0e, 0x220, 1, 0x1042, 0x221, 20],
  ['sha224', 0x46, 0x47, 0x255, 5, 0x1043, 0x256, 28],
  ['sha256', 0x40, 0x43, 0x250, 2, 0x1044, 0x251, 32],
  ['sha384', 0x41, 0x44, 0x260, 3, 0x1045, 0x261, 48],
  ['sha512', 0x42, 0x45, 0x270, 4, 0x1046, 0x271, 64],
] as const;

describe('signing and verifying', () => {
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  const sign = (mechanism: pkcs11js.Mechanism, key: Buffer, input = data): Buffer => {
    module.p11.C_SignInit(session, mechanism, key);
    return module.p11.C_Sign(session, input, Buffer.alloc(1024));
  };
  const verify = (mechanism: pkcs11js.Mechanism, key: Buffer, signature: Buffer, input = data): boolean => {
    module.p11.C_VerifyInit(session, mechanism, key);
    return module.p11.C_Verify(session, input, signature);
  };
  const signInParts = (mechanism: pkcs11js.Mechanism, key: Buffer, sizes: readonly number[]): Buffer => {
    module.p11.C_SignInit(session, mechanism, key);
    let at = 0;
    for (const size of sizes) {
      module.p11.C_SignUpdate(session, data.subarray(at, at + size));
      at += size;
    }
    module.p11.C_SignUpdate(session, data.subarray(at));
    return module.p11.C_SignFinal(session, Buffer.alloc(1024));
  };

  for (const modulusBits of [2048, 3072, 4096]) {
    describe(`with RSA-${modulusBits}`, () => {
      let pair: ReturnType<typeof generateRsa>;
      let outside: ReturnType<typeof createPublicKey>;

      before(() => {
        pair = generateRsa(module, session, modulusBits);
        outside = createPublicKey(publicKeyOf(module, session, pair));
      });

      for (const [hash, pkcs1, pss, hashAlg, mgf, , , saltLen] of hashes) {
        it(`makes ${hash} signatures that others verify, whole and in parts`, () => {
          const mechanism = { mechanism: pkcs1 };
          const signature = sign(mechanism, pair.privateKey);
          expect(nodeVerify(hash, data, outside, signature)).to.equal(true);
          expect(signInParts(mechanism, pair.privateKey, [1, 0, 20])).to.deep.equal(signature);
          expect(verify(mechanism, pair.publicKey, signature)).to.equal(true);
          const parameter = { type: pkcs11js.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen };
          const probabilistic = sign({ mechanism: pss, parameter }, pair.privateKey);
          const key = { key: outside, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltLen };
          expect(nodeVerify(hash, data, key, probabilistic)).to.equal(true);
          expect(verify({ mechanism: pss, parameter }, pair.publicKey, probabilistic)).to.equal(true);
        });
      }

      it('refuses a signature that is altered, of other data, or of another length', () => {
        const mechanism = { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS };
        const signature = sign(mechanism, pair.privateKey);
        const altered = Buffer.from(signature);
        altered[10]! ^= 1;
        expectCkr(CKR.CKR_SIGNATURE_INVALID, () => verify(mechanism, pair.publicKey, altered));
        expectCkr(CKR.CKR_SIGNATURE_INVALID, () =>
          verify(mechanism, pair.publicKey, signature, Buffer.from('other')),
        );
        expectCkr(CKR.CKR_SIGNATURE_LEN_RANGE, () =>
          verify(mechanism, pair.publicKey, signature.subarray(1)),
        );
      });

      it('signs raw with X.509 and PKCS#1 up to what the modulus holds', () => {
        const k = modulusBits / 8;
        expect(
          sign({ mechanism: pkcs11js.CKM_RSA_PKCS }, pair.privateKey, Buffer.alloc(k - 11, 1)),
        ).to.have.length(k);
        expectCkr(CKR.CKR_DATA_LEN_RANGE, () =>
          sign({ mechanism: pkcs11js.CKM_RSA_PKCS }, pair.privateKey, Buffer.alloc(k - 10)),
        );
        const raw = sign({ mechanism: pkcs11js.CKM_RSA_X_509 }, pair.privateKey, Buffer.alloc(k, 1));
        expect(
          verify({ mechanism: pkcs11js.CKM_RSA_X_509 }, pair.publicKey, raw, Buffer.alloc(k, 1)),
        ).to.equal(true);
        expectCkr(CKR.CKR_DATA_LEN_RANGE, () =>
          sign({ mechanism: pkcs11js.CKM_RSA_X_509 }, pair.privateKey, Buffer.alloc(k + 1)),
        );
      });
    });
  }

  for (const curve of Object.keys(curveOids) as Curve[]) {
    it(`makes ECDSA signatures on ${curve} that others verify`, () => {
      const pair = generateEc(module, session, curve);
      const outside = createPublicKey(publicKeyOf(module, session, pair, curve));
      const key = { key: outside, dsaEncoding: 'ieee-p1363' } as const;
      for (const [hash, , , , , mechanism] of hashes) {
        const signature = sign({ mechanism }, pair.privateKey);
        expect(nodeVerify(hash, data, key, signature), hash).to.equal(true);
        expect(verify({ mechanism }, pair.publicKey, signature)).to.equal(true);
        const parts = signInParts({ mechanism }, pair.privateKey, [7, 7]);
        expect(nodeVerify(hash, data, key, parts), hash).to.equal(true);
      }
      const raw = sign({ mechanism: pkcs11js.CKM_ECDSA }, pair.privateKey, Buffer.alloc(64, 3));
      expect(verify({ mechanism: pkcs11js.CKM_ECDSA }, pair.publicKey, raw, Buffer.alloc(64, 3))).to.equal(
        true,
      );
      raw[0]! ^= 0x40;
      expectCkr(CKR.CKR_SIGNATURE_INVALID, () =>
        verify({ mechanism: pkcs11js.CKM_ECDSA }, pair.publicKey, raw, Buffer.alloc(64, 3)),
      );
    });
  }

  for (const [hash, , , , , , mechanism] of hashes) {
    it(`computes HMAC-${hash} as others do`, () => {
      for (const lengthBytes of [1, 64, 200, 800]) {
        const value = Buffer.alloc(lengthBytes, 0x5a);
        const key = importSecret(module, session, pkcs11js.CKK_GENERIC_SECRET, value);
        const expected = createHmac(hash, value).update(data).digest();
        expect(sign({ mechanism }, key)).to.deep.equal(expected);
        expect(signInParts({ mechanism }, key, [5, 0, 5])).to.deep.equal(expected);
        expect(verify({ mechanism }, key, expected)).to.equal(true);
        expectCkr(CKR.CKR_SIGNATURE_INVALID, () => verify({ mechanism }, key, Buffer.alloc(expected.length)));
      }
    });
  }

  // RFC 4493, section 4: the examples with 0, 16, 40 and 64 bytes.
  it('computes AES-CMAC as RFC 4493 says, whole and in parts', () => {
    const { p11 } = module;
    const key = p11.C_CreateObject(session, [
      { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
      { type: pkcs11js.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
      { type: pkcs11js.CKA_VALUE, value: Buffer.from('2b7e151628aed2a6abf7158809cf4f3c', 'hex') },
      { type: pkcs11js.CKA_SIGN, value: true },
      { type: pkcs11js.CKA_VERIFY, value: true },
    ]);
    const message = Buffer.from(
      '6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51' +
        '30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710',
      'hex',
    );
    const mechanism = { mechanism: CKM.CKM_AES_CMAC };
    for (const [lengthBytes, mac] of [
      [0, 'bb1d6929e95937287fa37d129b756746'],
      [16, '070a16b46b4d4144f79bdd9dd04a287c'],
      [40, 'dfa66747de9ae63030ca32611497c827'],
      [64, '51f0bebf7e3b9d92fc49741779363cfe'],
    ] as const) {
      const input = message.subarray(0, lengthBytes);
      expect(sign(mechanism, key, input).toString('hex')).to.equal(mac);
      expect(verify(mechanism, key, Buffer.from(mac, 'hex'), input)).to.equal(true);
      p11.C_SignInit(session, mechanism, key);
      for (const byte of input) p11.C_SignUpdate(session, Buffer.from([byte]));
      if (lengthBytes === 0) p11.C_SignUpdate(session, input);
      expect(p11.C_SignFinal(session, Buffer.alloc(16)).toString('hex')).to.equal(mac);
    }
    expectCkr(CKR.CKR_SIGNATURE_INVALID, () => verify(mechanism, key, Buffer.alloc(16)));
    expectCkr(CKR.CKR_SIGNATURE_LEN_RANGE, () => verify(mechanism, key, Buffer.alloc(15)));
  });

  it('signs nothing, too', () => {
    const { privateKey, publicKey } = generateEc(module, session);
    const mechanism = { mechanism: pkcs11js.CKM_ECDSA_SHA256 };
    expect(
      verify(mechanism, publicKey, sign(mechanism, privateKey, Buffer.alloc(0)), Buffer.alloc(0)),
    ).to.equal(true);
  });

  // client-behaviours row 14.
  for (const lengthBytes of [16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 1_048_576]) {
    it(`hashes and signs ${lengthBytes.toLocaleString('en')} bytes`, () => {
      const pair = generateEc(module, session);
      const outside = createPublicKey(publicKeyOf(module, session, pair, 'P-256'));
      const input = Buffer.alloc(lengthBytes, 0xa5);
      const signature = sign({ mechanism: pkcs11js.CKM_ECDSA_SHA256 }, pair.privateKey, input);
      expect(nodeVerify('sha256', input, { key: outside, dsaEncoding: 'ieee-p1363' }, signature)).to.equal(
        true,
      );
    });
  }

  describe('Init', () => {
    it('refuses a key that may not, cannot, or does not exist', () => {
      const rsa = generateRsa(module, session);
      const ec = generateEc(module, session);
      const silent = generateEc(module, session, 'P-256', []);
      const init = (mechanism: number, key: Buffer) => () =>
        module.p11.C_SignInit(session, { mechanism }, key);
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init(pkcs11js.CKM_ECDSA, rsa.privateKey));
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init(pkcs11js.CKM_SHA256_RSA_PKCS, ec.privateKey));
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init(pkcs11js.CKM_ECDSA, silent.publicKey));
      expectCkr(CKR.CKR_KEY_HANDLE_INVALID, init(pkcs11js.CKM_ECDSA, Buffer.from('ffffff0000000000', 'hex')));
      expectCkr(CKR.CKR_MECHANISM_INVALID, init(0x1057, ec.privateKey));
      expectCkr(CKR.CKR_MECHANISM_INVALID, init(pkcs11js.CKM_AES_CBC, ec.privateKey));
      const encryptOnly = generateAes(module, session, 32, [{ type: pkcs11js.CKA_SIGN, value: false }]);
      expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init(pkcs11js.CKM_SHA256_HMAC, encryptOnly));
      const noVerify = module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_GENERIC_SECRET_KEY_GEN }, [
        { type: pkcs11js.CKA_VALUE_LEN, value: 32 },
        { type: pkcs11js.CKA_SIGN, value: false },
      ]);
      expectCkr(CKR.CKR_KEY_FUNCTION_NOT_PERMITTED, init(pkcs11js.CKM_SHA256_HMAC, noVerify));
    });

    it('refuses a PSS parameter whose hash is not the mechanism’s, or with mismatched MGF', () => {
      const { privateKey } = generateRsa(module, session);
      const init = (hashAlg: number, mgf: number, saltLen: number) => () => {
        const parameter = { type: pkcs11js.CK_PARAMS_RSA_PSS, hashAlg, mgf, saltLen };
        module.p11.C_SignInit(
          session,
          { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS_PSS, parameter },
          privateKey,
        );
      };
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(pkcs11js.CKM_SHA512, 4, 32));
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(pkcs11js.CKM_SHA256, 1, 32));
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(pkcs11js.CKM_SHA256, 2, 256));
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, () =>
        module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS_PSS }, privateKey),
      );
    });

    it('refuses a second operation and goes on with the first', () => {
      const { privateKey } = generateEc(module, session);
      const mechanism = { mechanism: pkcs11js.CKM_ECDSA_SHA256 };
      module.p11.C_SignInit(session, mechanism, privateKey);
      expectCkr(CKR.CKR_OPERATION_ACTIVE, () => module.p11.C_SignInit(session, mechanism, privateKey));
      expect(module.p11.C_Sign(session, data, Buffer.alloc(64))).to.have.length(64);
      expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, () => module.p11.C_Sign(session, data, Buffer.alloc(64)));
    });
  });

  it('keeps the operation after CKR_BUFFER_TOO_SMALL, and ends it after any other failure', () => {
    const { privateKey } = generateRsa(module, session);
    module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_RSA_PKCS }, privateKey);
    expectCkr(CKR.CKR_BUFFER_TOO_SMALL, () => module.p11.C_Sign(session, data, Buffer.alloc(255)));
    expect(module.p11.C_Sign(session, data, Buffer.alloc(256))).to.have.length(256);
    module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_RSA_PKCS }, privateKey);
    expectCkr(CKR.CKR_DATA_LEN_RANGE, () => module.p11.C_Sign(session, Buffer.alloc(400), Buffer.alloc(256)));
    expectCkr(CKR.CKR_OPERATION_NOT_INITIALIZED, () => module.p11.C_Sign(session, data, Buffer.alloc(256)));
  });
});
