import { createPrivateKey, createPublicKey } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { type HashName, x963Kdf } from '../../src/crypto/index.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKD, CKG } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, type Curve, curveOids } from '../support/keys.js';
import { codeOf, expectCkr, type TestModule, useModule } from '../support/module.js';
import { bytesOf, hashOf, type VectorGroup, type VectorTest, vectors } from '../support/wycheproof.js';

const SMALL_EXPONENT = 'public exponents of CloudHSM are 65537 and above (reference section 8)';
const SHORTER_SIGNATURE =
  'a signature may come without the leading zeros of r and s (v2.40 mechanisms, 2.3.1)';
const NO_NAMED_CURVE = 'the SubjectPublicKeyInfo names no curve: PKCS#11 is given the point alone';
const MALFORMED_SPKI = 'the fault is in the SubjectPublicKeyInfo: PKCS#11 is given the point alone';

const bytes = (text: string | undefined): Buffer => Buffer.from(text!, 'base64url');
const p256Spki = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

describe('Wycheproof through PKCS#11: RSA and EC', () => {
  let module: TestModule;
  let session: Buffer;

  useModule(
    (opened) => {
      ({ module, session } = opened);
    },
    // Where RSA encrypts with PKCS#1 v1.5.
    { mode: 'NON_FIPS' },
  );

  const create = (objectClass: number, keyType: number, more: pkcs11js.Template): Buffer =>
    module.p11.C_CreateObject(session, [
      { type: CKA.CKA_CLASS, value: objectClass },
      { type: CKA.CKA_KEY_TYPE, value: keyType },
      ...more,
    ]);

  /** One key per group. */
  const keys = new Map<VectorGroup, Buffer>();
  const keyOf = (group: VectorGroup, make: () => Buffer): Buffer => {
    let key = keys.get(group);
    if (key === undefined) {
      key = make();
      keys.set(group, key);
    }
    return key;
  };

  const rsaPublic = (spki: Buffer): Buffer => {
    const { n, e } = createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' });
    return create(pkcs11js.CKO_PUBLIC_KEY, pkcs11js.CKK_RSA, [
      { type: CKA.CKA_MODULUS, value: bytes(n) },
      { type: CKA.CKA_PUBLIC_EXPONENT, value: bytes(e) },
      { type: CKA.CKA_VERIFY, value: true },
    ]);
  };

  const rsaPrivate = (pkcs8: Buffer, usage: number): Buffer => {
    const jwk = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }).export({ format: 'jwk' });
    return create(pkcs11js.CKO_PRIVATE_KEY, pkcs11js.CKK_RSA, [
      { type: CKA.CKA_MODULUS, value: bytes(jwk.n) },
      { type: CKA.CKA_PUBLIC_EXPONENT, value: bytes(jwk.e) },
      { type: CKA.CKA_PRIVATE_EXPONENT, value: bytes(jwk.d) },
      { type: CKA.CKA_PRIME_1, value: bytes(jwk.p) },
      { type: CKA.CKA_PRIME_2, value: bytes(jwk.q) },
      { type: CKA.CKA_EXPONENT_1, value: bytes(jwk.dp) },
      { type: CKA.CKA_EXPONENT_2, value: bytes(jwk.dq) },
      { type: CKA.CKA_COEFFICIENT, value: bytes(jwk.qi) },
      { type: usage, value: true },
    ]);
  };

  const hasSmallExponent = (group: VectorGroup): boolean => {
    const part = (group['publicKey'] ?? group['privateKey']) as { publicExponent: string };
    return Number(`0x${part.publicExponent}`) < 65537;
  };
  const refusesSmallExponent = (make: () => Buffer): string => {
    expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, make);
    return SMALL_EXPONENT;
  };

  const checkVerify = (mechanism: pkcs11js.Mechanism, key: Buffer, test: VectorTest): void => {
    const { p11 } = module;
    p11.C_VerifyInit(session, mechanism, key);
    const verify = () => p11.C_Verify(session, bytesOf(test, 'msg'), bytesOf(test, 'sig'));
    if (test.result === 'valid') expect(verify()).to.equal(true);
    else expect(codeOf(verify)).to.be.oneOf([CKR.CKR_SIGNATURE_INVALID, CKR.CKR_SIGNATURE_LEN_RANGE]);
  };

  vectors(
    'rsa_signature_2048_sha256_test.json',
    (test, group) => {
      const make = () => rsaPublic(bytesOf(group, 'publicKeyDer'));
      if (hasSmallExponent(group)) return refusesSmallExponent(make);
      // "Acceptable" is a DigestInfo without the NULL parameter: not what is signed here.
      return checkVerify({ mechanism: CKM.CKM_SHA256_RSA_PKCS }, keyOf(group, make), test);
    },
    { [SMALL_EXPONENT]: 2 },
  );

  vectors('rsa_pss_2048_sha256_mgf1_32_test.json', (test, group) => {
    const parameter = {
      type: pkcs11js.CK_PARAMS_RSA_PSS,
      hashAlg: CKM.CKM_SHA256,
      mgf: CKG.CKG_MGF1_SHA256,
      saltLen: 32,
    } as pkcs11js.IParams;
    const key = keyOf(group, () => rsaPublic(bytesOf(group, 'publicKeyDer')));
    checkVerify({ mechanism: CKM.CKM_SHA256_RSA_PKCS_PSS, parameter }, key, test);
  });

  const rsaPkcs: { readonly [Hash in HashName]: number } = {
    sha1: CKM.CKM_SHA1_RSA_PKCS,
    sha224: CKM.CKM_SHA224_RSA_PKCS,
    sha256: CKM.CKM_SHA256_RSA_PKCS,
    sha384: CKM.CKM_SHA384_RSA_PKCS,
    sha512: CKM.CKM_SHA512_RSA_PKCS,
  };

  vectors(
    'rsa_pkcs1_2048_sig_gen_test.json',
    (test, group) => {
      const make = () => rsaPrivate(bytesOf(group, 'privateKeyPkcs8'), CKA.CKA_SIGN);
      if (hasSmallExponent(group)) return refusesSmallExponent(make);
      module.p11.C_SignInit(session, { mechanism: rsaPkcs[hashOf(group['sha'])] }, keyOf(group, make));
      const signature = module.p11.C_Sign(session, bytesOf(test, 'msg'), Buffer.alloc(256));
      // "Acceptable" is SHA-1, which is the caller's policy; the signature is the same.
      expect(signature).to.deep.equal(bytesOf(test, 'sig'));
      return undefined;
    },
    { [SMALL_EXPONENT]: 3 },
  );

  vectors('rsa_pkcs1_2048_test.json', (test, group) => {
    const key = keyOf(group, () => rsaPrivate(bytesOf(group, 'privateKeyPkcs8'), CKA.CKA_DECRYPT));
    module.p11.C_DecryptInit(session, { mechanism: CKM.CKM_RSA_PKCS }, key);
    const decrypt = () => Buffer.from(module.p11.C_Decrypt(session, bytesOf(test, 'ct'), Buffer.alloc(256)));
    if (test.result === 'valid') {
      expect(decrypt()).to.deep.equal(bytesOf(test, 'msg'));
      return;
    }
    let plaintext: Buffer | undefined;
    const code = codeOf(() => {
      plaintext = decrypt();
    });
    // OpenSSL from 3.2 on answers broken padding with random plaintext.
    if (plaintext !== undefined) expect(plaintext).not.to.deep.equal(bytesOf(test, 'msg'));
    else expect(code).to.be.oneOf([CKR.CKR_ENCRYPTED_DATA_INVALID, CKR.CKR_ENCRYPTED_DATA_LEN_RANGE]);
  });

  for (const [name, curve, mechanism, pointBytes, passedOver] of [
    ['secp224r1_sha256', 'P-224', CKM.CKM_ECDSA_SHA256, 57, 11],
    ['secp256r1_sha256', 'P-256', CKM.CKM_ECDSA_SHA256, 65, 12],
    ['secp384r1_sha384', 'P-384', CKM.CKM_ECDSA_SHA384, 97, 10],
    ['secp521r1_sha512', 'P-521', CKM.CKM_ECDSA_SHA512, 133, 10],
  ] satisfies [string, Curve, number, number, number][]) {
    vectors(
      `ecdsa_${name}_p1363_test.json`,
      (test, group) => {
        const key = keyOf(group, () =>
          create(pkcs11js.CKO_PUBLIC_KEY, pkcs11js.CKK_EC, [
            { type: CKA.CKA_EC_PARAMS, value: Buffer.from(curveOids[curve], 'hex') },
            { type: CKA.CKA_EC_POINT, value: bytesOf(group, 'publicKeyDer').subarray(-pointBytes) },
            { type: CKA.CKA_VERIFY, value: true },
          ]),
        );
        const isShorter = test.flags.includes('SignatureSize') && test.result === 'invalid';
        if (isShorter) {
          module.p11.C_VerifyInit(session, { mechanism }, key);
          const verify = () => module.p11.C_Verify(session, bytesOf(test, 'msg'), bytesOf(test, 'sig'));
          if (codeOf(verify) === undefined) return SHORTER_SIGNATURE;
        }
        return checkVerify({ mechanism }, key, test);
      },
      { [SHORTER_SIGNATURE]: passedOver },
    );
  }

  vectors(
    'ecdh_secp256r1_test.json',
    (test) => {
      const spki = bytesOf(test, 'public');
      if (test.flags.includes('UnnamedCurve')) return NO_NAMED_CURVE;
      if (test.flags.includes('InvalidAsn')) return MALFORMED_SPKI;
      // Of a key on this curve the point; of another one whatever stands behind the header.
      const point = spki.subarray(p256Spki.length);
      const key = create(pkcs11js.CKO_PRIVATE_KEY, pkcs11js.CKK_EC, [
        { type: CKA.CKA_EC_PARAMS, value: Buffer.from(curveOids['P-256'], 'hex') },
        { type: CKA.CKA_VALUE, value: bytesOf(test, 'private') },
        { type: CKA.CKA_DERIVE, value: true },
      ]);
      const parameter = {
        type: pkcs11js.CK_PARAMS_EC_DH,
        kdf: CKD.CKD_CLOUDHSM_X963_SHA256_KDF,
        publicData: point,
      } as pkcs11js.IParams;
      const derive = () =>
        module.p11.C_DeriveKey(session, { mechanism: CKM.CKM_ECDH1_DERIVE, parameter }, key, [
          { type: CKA.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
          { type: CKA.CKA_KEY_TYPE, value: pkcs11js.CKK_GENERIC_SECRET },
          { type: CKA.CKA_VALUE_LEN, value: 32 },
          { type: CKA.CKA_SENSITIVE, value: false },
        ]);
      // "Acceptable" is besides a compressed point, which C_GetMechanismInfo does not promise.
      if (test.result === 'valid') {
        const expected = x963Kdf('sha256', bytesOf(test, 'shared'), Buffer.alloc(0), 32);
        expect(attribute(module, session, derive(), CKA.CKA_VALUE)).to.deep.equal(expected);
      } else expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, derive);
      return undefined;
    },
    { [NO_NAMED_CURVE]: 14, [MALFORMED_SPKI]: 222 },
  );
});
