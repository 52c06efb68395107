import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { importSecret } from '../support/keys.js';
import { codeOf, expectCkr, type TestModule, useModule } from '../support/module.js';
import { bytesOf, type VectorGroup, type VectorTest, vectors } from '../support/wycheproof.js';

describe('Wycheproof through PKCS#11: AES and MACs', () => {
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  /** Runs `use` with a session key of this value, and destroys the key. */
  function withKey<T>(keyType: number, value: Buffer, use: (key: Buffer) => T): T {
    const key = importSecret(module, session, keyType, value);
    try {
      return use(key);
    } finally {
      module.p11.C_DestroyObject(session, key);
    }
  }

  const decrypt = (mechanism: pkcs11js.Mechanism, key: Buffer, input: Buffer): Buffer => {
    module.p11.C_DecryptInit(session, mechanism, key);
    // Room to spare: an empty Buffer would reach the module as a NULL pointer, a length query.
    return Buffer.from(module.p11.C_Decrypt(session, input, Buffer.alloc(input.length + 16)));
  };

  vectors(
    'aes_gcm_test.json',
    (test, group) => {
      const [iv, aad] = [bytesOf(test, 'iv'), bytesOf(test, 'aad')];
      if (iv.length > 256) return 'IVs of CKM_AES_GCM have at most 256 bytes (v2.40 mechanisms, 2.12.1)';
      const parameter = {
        type: pkcs11js.CK_PARAMS_AES_GCM_v240,
        iv,
        ivBits: iv.length * 8,
        aad,
        tagBits: group['tagSize'],
      } as pkcs11js.IParams;
      const sealed = Buffer.concat([bytesOf(test, 'ct'), bytesOf(test, 'tag')]);
      return withKey(pkcs11js.CKK_AES, bytesOf(test, 'key'), (key) => {
        const open = () => decrypt({ mechanism: CKM.CKM_AES_GCM, parameter }, key, sealed);
        if (test.result === 'valid') expect(open()).to.deep.equal(bytesOf(test, 'msg'));
        else
          expectCkr(iv.length === 0 ? CKR.CKR_MECHANISM_PARAM_INVALID : CKR.CKR_ENCRYPTED_DATA_INVALID, open);
        return undefined;
      });
    },
    { 'IVs of CKM_AES_GCM have at most 256 bytes (v2.40 mechanisms, 2.12.1)': 3 },
  );

  vectors('aes_cbc_pkcs5_test.json', (test) => {
    const mechanism = { mechanism: CKM.CKM_AES_CBC_PAD, parameter: bytesOf(test, 'iv') };
    const [message, ciphertext] = [bytesOf(test, 'msg'), bytesOf(test, 'ct')];
    return withKey(pkcs11js.CKK_AES, bytesOf(test, 'key'), (key) => {
      if (test.result !== 'valid') {
        const whole = ciphertext.length > 0 && ciphertext.length % 16 === 0;
        expectCkr(whole ? CKR.CKR_ENCRYPTED_DATA_INVALID : CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () =>
          decrypt(mechanism, key, ciphertext),
        );
        return;
      }
      module.p11.C_EncryptInit(session, mechanism, key);
      const room = Buffer.alloc(message.length + 16);
      expect(module.p11.C_Encrypt(session, message, room)).to.deep.equal(ciphertext);
      expect(decrypt(mechanism, key, ciphertext)).to.deep.equal(message);
    });
  });

  /** The files have truncated tags too, for which CloudHSM has no mechanism: the MAC's beginning is compared. */
  function checkMac(
    mechanism: number,
    macBytes: number,
    key: Buffer,
    test: VectorTest,
    group: VectorGroup,
  ): void {
    const { p11 } = module;
    const [message, tag] = [bytesOf(test, 'msg'), bytesOf(test, 'tag')];
    p11.C_SignInit(session, { mechanism }, key);
    const mac = Buffer.from(p11.C_Sign(session, message, Buffer.alloc(macBytes)));
    expect(mac.subarray(0, (group['tagSize'] as number) / 8).equals(tag)).to.equal(test.result === 'valid');
    p11.C_VerifyInit(session, { mechanism }, key);
    const verify = () => p11.C_Verify(session, message, tag);
    if (tag.length !== macBytes) expectCkr(CKR.CKR_SIGNATURE_LEN_RANGE, verify);
    else if (test.result === 'valid') expect(verify()).to.equal(true);
    else expectCkr(CKR.CKR_SIGNATURE_INVALID, verify);
  }

  vectors('aes_cmac_test.json', (test, group) => {
    const value = bytesOf(test, 'key');
    const template = [
      { type: CKA.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
      { type: CKA.CKA_KEY_TYPE, value: pkcs11js.CKK_AES },
      { type: CKA.CKA_VALUE, value },
      { type: CKA.CKA_SIGN, value: true },
      { type: CKA.CKA_VERIFY, value: true },
    ];
    if (![16, 24, 32].includes(value.length)) {
      expect(test.result).to.equal('invalid');
      expect(codeOf(() => module.p11.C_CreateObject(session, template))).to.equal(
        CKR.CKR_ATTRIBUTE_VALUE_INVALID,
      );
      return;
    }
    checkMac(CKM.CKM_AES_CMAC, 16, module.p11.C_CreateObject(session, template), test, group);
  });

  for (const [hash, mechanism, macBytes] of [
    ['sha1', CKM.CKM_SHA_1_HMAC, 20],
    ['sha224', CKM.CKM_SHA224_HMAC, 28],
    ['sha256', CKM.CKM_SHA256_HMAC, 32],
    ['sha384', CKM.CKM_SHA384_HMAC, 48],
    ['sha512', CKM.CKM_SHA512_HMAC, 64],
  ] as const) {
    vectors(`hmac_${hash}_test.json`, (test, group) =>
      withKey(pkcs11js.CKK_GENERIC_SECRET, bytesOf(test, 'key'), (key) =>
        checkMac(mechanism, macBytes, key, test, group),
      ),
    );
  }
});
