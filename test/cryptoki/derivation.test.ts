import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKD } from '../../src/pkcs11/constants.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, generateEc } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

/* As AWS's sample programs derive keys (reference section 19): through the C structures of the vendor header. */

const derived: pkcs11js.Template = [
  { type: CKA.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
  { type: CKA.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
  { type: CKA.CKA_VALUE_LEN, value: 32 },
  { type: CKA.CKA_ENCRYPT, value: true },
  { type: CKA.CKA_DECRYPT, value: true },
  { type: CKA.CKA_TOKEN, value: false },
];

describe('C_DeriveKey', () => {
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  const withEcdh = (publicData: Buffer, kdf: number): pkcs11js.Mechanism => ({
    mechanism: CKM.CKM_ECDH1_DERIVE,
    parameter: { type: pkcs11js.CK_PARAMS_EC_DH, kdf, publicData } as pkcs11js.IParams,
  });

  // derivation/ecdh_with_kdf.c
  it('gives two EC keys the same AES key, one of which decrypts what the other encrypts', () => {
    const { p11 } = module;
    const [a, b] = [0, 1].map(() =>
      p11.C_GenerateKeyPair(
        session,
        { mechanism: CKM.CKM_EC_KEY_PAIR_GEN },
        [
          { type: CKA.CKA_VERIFY, value: true },
          { type: CKA.CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') },
          { type: CKA.CKA_TOKEN, value: false },
        ],
        [
          { type: CKA.CKA_SIGN, value: true },
          { type: CKA.CKA_DERIVE, value: true },
          { type: CKA.CKA_TOKEN, value: false },
        ],
      ),
    ) as [pkcs11js.KeyPair, pkcs11js.KeyPair];
    const [keyA, keyB] = [
      [a, b],
      [b, a],
    ].map(([own, peer]) => {
      const point = attribute(module, session, peer!.publicKey, CKA.CKA_EC_POINT);
      const mechanism = withEcdh(point, CKD.CKD_CLOUDHSM_X963_SHA256_KDF);
      return p11.C_DeriveKey(session, mechanism, own!.privateKey, derived);
    }) as [Buffer, Buffer];
    const cbc = { mechanism: CKM.CKM_AES_CBC_PAD, parameter: Buffer.alloc(16) };
    p11.C_EncryptInit(session, cbc, keyA);
    const ciphertext = Buffer.from(p11.C_Encrypt(session, Buffer.from('plaintext'), Buffer.alloc(32)));
    p11.C_DecryptInit(session, cbc, keyB);
    expect(p11.C_Decrypt(session, ciphertext, Buffer.alloc(32)).toString()).to.equal('plaintext');
  });

  it('refuses a key that may not derive, the public half, and CKD_NULL', () => {
    const { p11 } = module;
    const silent = generateEc(module, session);
    const point = attribute(module, session, silent.publicKey, CKA.CKA_EC_POINT);
    const able = p11.C_GenerateKeyPair(
      session,
      { mechanism: CKM.CKM_EC_KEY_PAIR_GEN },
      [{ type: CKA.CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') }],
      [{ type: CKA.CKA_DERIVE, value: true }],
    );
    const kdf = CKD.CKD_CLOUDHSM_X963_SHA256_KDF;
    expectCkr(CKR.CKR_KEY_FUNCTION_NOT_PERMITTED, () =>
      p11.C_DeriveKey(session, withEcdh(point, kdf), silent.privateKey, derived),
    );
    expectCkr(CKR.CKR_KEY_TYPE_INCONSISTENT, () =>
      p11.C_DeriveKey(session, withEcdh(point, kdf), able.publicKey, derived),
    );
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, () =>
      p11.C_DeriveKey(session, withEcdh(point, CKD.CKD_NULL), able.privateKey, derived),
    );
    expectCkr(CKR.CKR_MECHANISM_INVALID, () =>
      p11.C_DeriveKey(session, { mechanism: CKM.CKM_AES_ECB }, able.privateKey, derived),
    );
  });

  it('ends a derived session key with its session', () => {
    const { p11 } = module;
    const other = module.openSession();
    const pair = p11.C_GenerateKeyPair(
      session,
      { mechanism: CKM.CKM_EC_KEY_PAIR_GEN },
      [{ type: CKA.CKA_EC_PARAMS, value: Buffer.from('06082a8648ce3d030107', 'hex') }],
      [{ type: CKA.CKA_DERIVE, value: true }],
    );
    const point = attribute(module, session, pair.publicKey, CKA.CKA_EC_POINT);
    const key = p11.C_DeriveKey(
      other,
      withEcdh(point, CKD.CKD_CLOUDHSM_X963_SHA512_KDF),
      pair.privateKey,
      derived,
    );
    expect(attribute(module, session, key, CKA.CKA_VALUE_LEN).readUInt32LE()).to.equal(32);
    p11.C_CloseSession(other);
    expectCkr(CKR.CKR_OBJECT_HANDLE_INVALID, () => attribute(module, session, key, CKA.CKA_VALUE_LEN));
  });
});
