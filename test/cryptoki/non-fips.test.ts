import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { attribute, generateRsa, importSecret } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

// All bytes of odd parity.
const keyBytes = Buffer.from('0123456789abcdef23456789abcdef01456789abcdef0123', 'hex');
const iv = Buffer.from('f0f1f2f3f4f5f6f7', 'hex');

describe('a NON_FIPS cluster', () => {
  let module: TestModule;
  let session: Buffer;

  useModule(
    (opened) => {
      ({ module, session } = opened);
    },
    { mode: 'NON_FIPS' },
  );

  /** [name, mechanism, OpenSSL's name, padded] */
  const modes: readonly [string, pkcs11js.Mechanism, string, boolean][] = [
    ['ECB', { mechanism: CKM.CKM_DES3_ECB }, 'des-ede3', false],
    ['CBC', { mechanism: CKM.CKM_DES3_CBC, parameter: iv }, 'des-ede3-cbc', false],
    ['CBC-PAD', { mechanism: CKM.CKM_DES3_CBC_PAD, parameter: iv }, 'des-ede3-cbc', true],
  ];

  for (const [name, mechanism, outside, padded] of modes) {
    it(`does Triple DES in ${name} as OpenSSL does, whole and in parts`, () => {
      const { p11 } = module;
      const key = importSecret(module, session, pkcs11js.CKK_DES3, keyBytes);
      for (let lengthBytes = 0; lengthBytes <= 24; lengthBytes += padded ? 1 : 8) {
        const input = Buffer.alloc(lengthBytes, 0x61);
        const node = createCipheriv(outside, keyBytes, name === 'ECB' ? null : iv).setAutoPadding(padded);
        const expected = Buffer.concat([node.update(input), node.final()]);
        p11.C_EncryptInit(session, mechanism, key);
        expect(p11.C_Encrypt(session, input, Buffer.alloc(40))).to.deep.equal(expected);
        p11.C_DecryptInit(session, mechanism, key);
        const parts = [expected.subarray(0, 5), expected.subarray(5)].map((part) =>
          Buffer.from(p11.C_DecryptUpdate(session, part, Buffer.alloc(40))),
        );
        parts.push(Buffer.from(p11.C_DecryptFinal(session, Buffer.alloc(40))));
        expect(Buffer.concat(parts)).to.deep.equal(input);
      }
    });
  }

  // AWS's sample tdes_generate (reference section 19): no CKA_VALUE_LEN.
  it('makes Triple DES keys of odd parity and one length', () => {
    const { p11 } = module;
    const key = p11.C_GenerateKey(session, { mechanism: CKM.CKM_DES3_KEY_GEN }, [
      { type: pkcs11js.CKA_SENSITIVE, value: false },
      { type: pkcs11js.CKA_ENCRYPT, value: true },
    ]);
    const value = attribute(module, session, key, pkcs11js.CKA_VALUE);
    expect(value).to.have.length(24);
    for (const byte of value) expect(byte.toString(2).replaceAll('0', '').length % 2).to.equal(1);
    const zeros = createCipheriv('des-ede3', value, null).update(Buffer.alloc(8));
    expect(attribute(module, session, key, pkcs11js.CKA_CHECK_VALUE)).to.deep.equal(zeros.subarray(0, 3));
    expectCkr(CKR.CKR_ATTRIBUTE_TYPE_INVALID, () => attribute(module, session, key, pkcs11js.CKA_VALUE_LEN));
    expectCkr(CKR.CKR_TEMPLATE_INCONSISTENT, () =>
      p11.C_GenerateKey(session, { mechanism: CKM.CKM_DES3_KEY_GEN }, [
        { type: pkcs11js.CKA_VALUE_LEN, value: 24 },
      ]),
    );
  });

  it('imports no Triple DES key of another length or of even parity', () => {
    for (const value of [keyBytes.subarray(8), Buffer.alloc(24)])
      expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () =>
        importSecret(module, session, pkcs11js.CKK_DES3, value),
      );
  });

  it('encrypts with PKCS#1 v1.5 and raw RSA', () => {
    const { p11 } = module;
    const pair = generateRsa(module, session, 2048, [{ type: pkcs11js.CKA_SENSITIVE, value: false }]);
    for (const mechanism of [CKM.CKM_RSA_PKCS, CKM.CKM_RSA_X_509]) {
      const input = Buffer.alloc(mechanism === CKM.CKM_RSA_PKCS ? 245 : 256, 1);
      p11.C_EncryptInit(session, { mechanism }, pair.publicKey);
      const ciphertext = Buffer.from(p11.C_Encrypt(session, input, Buffer.alloc(256)));
      p11.C_DecryptInit(session, { mechanism }, pair.privateKey);
      expect(p11.C_Decrypt(session, ciphertext, Buffer.alloc(256))).to.deep.equal(input);
      p11.C_EncryptInit(session, { mechanism }, pair.publicKey);
      expectCkr(CKR.CKR_DATA_LEN_RANGE, () =>
        p11.C_Encrypt(session, Buffer.alloc(input.length + 1), Buffer.alloc(256)),
      );
    }
  });
});

describe('a FIPS cluster', () => {
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  // Reference section 9.2.
  it('makes no Triple DES keys, and only decrypts with those brought along', () => {
    const { p11 } = module;
    expectCkr(CKR.CKR_MECHANISM_INVALID, () =>
      p11.C_GenerateKey(session, { mechanism: CKM.CKM_DES3_KEY_GEN }, []),
    );
    const key = importSecret(module, session, pkcs11js.CKK_DES3, keyBytes);
    expectCkr(CKR.CKR_MECHANISM_INVALID, () =>
      p11.C_EncryptInit(session, { mechanism: CKM.CKM_DES3_ECB }, key),
    );
    const ciphertext = createCipheriv('des-ede3', keyBytes, null).update(Buffer.alloc(8));
    p11.C_DecryptInit(session, { mechanism: CKM.CKM_DES3_ECB }, key);
    expect(p11.C_Decrypt(session, ciphertext, Buffer.alloc(8))).to.deep.equal(Buffer.alloc(8));
  });

  it('lists what it does and nothing else', () => {
    const listed = module.p11.C_GetMechanismList(module.slot);
    expect(listed).to.include(CKM.CKM_DES3_CBC).and.not.to.include(CKM.CKM_DES3_KEY_GEN);
    for (const mechanism of listed)
      expect(module.p11.C_GetMechanismInfo(module.slot, mechanism).flags).not.to.equal(0);
    expectCkr(CKR.CKR_MECHANISM_INVALID, () =>
      module.p11.C_GetMechanismInfo(module.slot, CKM.CKM_DES3_KEY_GEN),
    );
  });
});
