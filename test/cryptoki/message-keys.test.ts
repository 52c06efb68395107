import { createPublicKey, verify as nodeVerify } from 'node:crypto';
import { expect } from 'chai';
import type pkcs11js from 'pkcs11js';
import { hasMessageAlgorithm } from '../../src/crypto/index.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKK } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, generateEc } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

const data = Buffer.from('The quick brown fox jumps over the lazy dog');
const eddsa = { mechanism: CKM.CKM_CLOUDHSM_EDDSA };
/** CK_EDDSA_PARAMS {phFlag, no context}. */
const withFlag = (phFlag: number): pkcs11js.Mechanism => ({
  ...eddsa,
  parameter: Buffer.concat([Buffer.from([phFlag]), Buffer.alloc(23)]),
});

const flag = (type: number) => ({ type, value: true });

function generateEd25519(module: TestModule, session: Buffer, ...more: pkcs11js.Template) {
  return module.p11.C_GenerateKeyPair(
    session,
    { mechanism: CKM.CKM_EC_KEY_PAIR_GEN },
    [{ type: CKA.CKA_EC_PARAMS, value: Buffer.from('06032b6570', 'hex') }, flag(CKA.CKA_VERIFY), ...more],
    [flag(CKA.CKA_SIGN), ...more],
  );
}

describe('Ed25519 keys', () => {
  let module: TestModule;
  let session: Buffer;

  useModule(
    (opened) => {
      ({ module, session } = opened);
    },
    { mode: 'NON_FIPS' },
  );

  const sign = (mechanism: pkcs11js.Mechanism, key: Buffer, input = data): Buffer => {
    module.p11.C_SignInit(session, mechanism, key);
    return Buffer.from(module.p11.C_Sign(session, input, Buffer.alloc(64)));
  };
  const verify = (mechanism: pkcs11js.Mechanism, key: Buffer, signature: Buffer, input = data): boolean => {
    module.p11.C_VerifyInit(session, mechanism, key);
    return module.p11.C_Verify(session, input, signature);
  };

  it('are EC keys that sign what others verify', () => {
    const { publicKey, privateKey } = generateEd25519(module, session);
    expect(attribute(module, session, privateKey, CKA.CKA_KEY_TYPE).readUInt32LE()).to.equal(CKK.CKK_EC);
    const point = attribute(module, session, publicKey, CKA.CKA_EC_POINT);
    expect(point.subarray(0, 2).toString('hex')).to.equal('0420');
    const x = point.subarray(2).toString('base64url');
    const outside = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const signature = sign(eddsa, privateKey);
    expect(nodeVerify(null, data, outside, signature)).to.equal(true);
    expect(verify(eddsa, publicKey, signature)).to.equal(true);
    expectCkr(CKR.CKR_SIGNATURE_INVALID, () => verify(eddsa, publicKey, signature, Buffer.from('other')));
    expectCkr(CKR.CKR_SIGNATURE_LEN_RANGE, () => verify(eddsa, publicKey, signature.subarray(1)));
  });

  it('survive as token keys on both HSMs', () => {
    const { privateKey, publicKey } = generateEd25519(module, session, flag(CKA.CKA_TOKEN));
    expect(verify(eddsa, publicKey, sign(eddsa, privateKey))).to.equal(true);
  });

  // Reference sections 9.3 and 9.8.
  it('sign up to 16,000 bytes without a hash', () => {
    const { privateKey } = generateEd25519(module, session);
    expect(sign(eddsa, privateKey, Buffer.alloc(16_000))).to.have.length(64);
    expectCkr(CKR.CKR_DATA_LEN_RANGE, () => sign(eddsa, privateKey, Buffer.alloc(16_001)));
  });

  it('sign any length with Ed25519ph, whole or in parts, where the running Node has it', () => {
    const { privateKey, publicKey } = generateEd25519(module, session);
    const ph = withFlag(1);
    if (!hasMessageAlgorithm('ED25519', 'prehash')) {
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, () => sign(ph, privateKey));
      return;
    }
    const long = Buffer.alloc(100_000, 3);
    const signature = sign(ph, privateKey, long);
    expect(verify(ph, publicKey, signature, long)).to.equal(true);
    module.p11.C_SignInit(session, ph, privateKey);
    for (let at = 0; at < long.length; at += 30_000)
      module.p11.C_SignUpdate(session, long.subarray(at, at + 30_000));
    expect(module.p11.C_SignFinal(session, Buffer.alloc(64))).to.deep.equal(signature);
    expectCkr(CKR.CKR_SIGNATURE_INVALID, () => verify(eddsa, publicKey, signature, Buffer.alloc(16_000, 3)));
  });

  it('take no other parameters and no other mechanisms', () => {
    const { privateKey } = generateEd25519(module, session);
    const init =
      (mechanism: pkcs11js.Mechanism, key = privateKey) =>
      () =>
        module.p11.C_SignInit(session, mechanism, key);
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(withFlag(0)));
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init({ ...eddsa, parameter: Buffer.alloc(8) }));
    expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init({ mechanism: CKM.CKM_ECDSA }));
    expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init({ mechanism: CKM.CKM_ECDSA_SHA256 }));
    expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, init(eddsa, generateEc(module, session).privateKey));
    // CKM_EDDSA of the standard.
    expectCkr(CKR.CKR_MECHANISM_INVALID, init({ mechanism: 0x1057 }));
  });
});

describe('Ed25519 and ML-DSA in a FIPS cluster', () => {
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  it('has no Ed25519', () => {
    expectCkr(CKR.CKR_CURVE_NOT_SUPPORTED, () => generateEd25519(module, session));
    expect(module.p11.C_GetMechanismList(module.slot)).not.to.include(CKM.CKM_CLOUDHSM_EDDSA);
  });

  const generate = (set?: number, privateSet?: number) =>
    module.p11.C_GenerateKeyPair(
      session,
      { mechanism: CKM.CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN },
      [
        ...(set === undefined ? [] : [{ type: CKA.CKA_CLOUDHSM_PARAMETER_SET, value: set }]),
        flag(CKA.CKA_VERIFY),
      ],
      [
        ...(privateSet === undefined ? [] : [{ type: CKA.CKA_CLOUDHSM_PARAMETER_SET, value: privateSet }]),
        flag(CKA.CKA_SIGN),
      ],
    );

  it('has ML-DSA where the running Node has it, and does not list it elsewhere', () => {
    const listed = module.p11.C_GetMechanismList(module.slot).includes(CKM.CKM_CLOUDHSM_ML_DSA);
    expect(listed).to.equal(hasMessageAlgorithm('ML-DSA-44', 'pure'));
    if (listed) return;
    expectCkr(CKR.CKR_MECHANISM_INVALID, () => generate(1));
  });

  for (const [set, signatureBytes] of [
    [1, 2420],
    [2, 3309],
    [3, 4627],
  ] as const) {
    it(`signs with ML-DSA parameter set ${set}, pure and by mu`, function () {
      if (!hasMessageAlgorithm('ML-DSA-44', 'pure')) this.skip();
      const { p11 } = module;
      const { publicKey, privateKey } = generate(set);
      for (const key of [publicKey, privateKey])
        expect(attribute(module, session, key, CKA.CKA_CLOUDHSM_PARAMETER_SET).readUInt32LE()).to.equal(set);
      for (const mechanism of [CKM.CKM_CLOUDHSM_ML_DSA, CKM.CKM_CLOUDHSM_EXT_MU_ML_DSA]) {
        const input = Buffer.alloc(64, 5);
        p11.C_SignInit(session, { mechanism }, privateKey);
        const signature = Buffer.from(p11.C_Sign(session, input, Buffer.alloc(4627)));
        expect(signature).to.have.length(signatureBytes);
        p11.C_VerifyInit(session, { mechanism }, publicKey);
        expect(p11.C_Verify(session, input, signature)).to.equal(true);
        p11.C_VerifyInit(session, { mechanism }, publicKey);
        expectCkr(CKR.CKR_SIGNATURE_INVALID, () => p11.C_Verify(session, Buffer.alloc(64), signature));
      }
      p11.C_SignInit(session, { mechanism: CKM.CKM_CLOUDHSM_EXT_MU_ML_DSA }, privateKey);
      expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_Sign(session, Buffer.alloc(63), Buffer.alloc(4627)));
    });
  }

  it('wants one parameter set that there is', function () {
    if (!hasMessageAlgorithm('ML-DSA-44', 'pure')) this.skip();
    expectCkr(CKR.CKR_TEMPLATE_INCOMPLETE, () => generate());
    expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () => generate(4));
    expectCkr(CKR.CKR_TEMPLATE_INCONSISTENT, () => generate(1, 2));
    generate(2, 2);
  });
});
