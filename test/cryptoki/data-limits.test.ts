import { createCipheriv } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { limits } from '../../src/base/limits.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { importSecret } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

const keyBytes = Buffer.alloc(32, 0x5a);
const iv = Buffer.alloc(16, 0xa5);
// Reference section 9.3.
const CBC_BYTES = 16_272;
const HMAC_SHA256_BYTES = 16_288;
/** As much as the module carries in one call, with what goes before it. */
const FRAME_BYTES = limits.frameBytes;

/** CK_AES_CTR_PARAMS with a counter of 128 bits. */
const ctrParameter = Buffer.concat([Buffer.from('8000000000000000', 'hex'), iv]);

/** [name, mechanism, OpenSSL's name] */
const ciphers: readonly [string, pkcs11js.Mechanism, string][] = [
  ['AES-CBC', { mechanism: CKM.CKM_AES_CBC, parameter: iv }, 'aes-256-cbc'],
  ['AES-CTR', { mechanism: CKM.CKM_AES_CTR, parameter: ctrParameter }, 'aes-256-ctr'],
];

for (const profile of ['compatible', 'strict'] as const) {
  describe(`what one request to an HSM holds, in the ${profile} profile`, () => {
    let module: TestModule;
    let session: Buffer;
    let key: Buffer;
    let hmacKey: Buffer;

    useModule(
      (opened) => {
        ({ module, session } = opened);
        key = importSecret(module, session, pkcs11js.CKK_AES, keyBytes);
        hmacKey = importSecret(module, session, pkcs11js.CKK_GENERIC_SECRET, keyBytes);
      },
      { profile },
    );

    it('is refused as too long by what it is, also where it is too long for the module', () => {
      const { p11 } = module;
      const [, mechanism] = ciphers[0]!;
      const input = Buffer.alloc(FRAME_BYTES);
      const room = Buffer.alloc(64);
      p11.C_EncryptInit(session, mechanism, key);
      expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_Encrypt(session, input, room));
      p11.C_DecryptInit(session, mechanism, key);
      expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () => p11.C_Decrypt(session, input, room));
      p11.C_DecryptInit(session, mechanism, key);
      expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () => p11.C_DecryptUpdate(session, input, room));
      const wrap = { mechanism: CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD };
      expectCkr(CKR.CKR_WRAPPED_KEY_LEN_RANGE, () => p11.C_UnwrapKey(session, wrap, key, input, []));
    });

    for (const [name, mechanism, outside] of ciphers) {
      it(`is ${CBC_BYTES} bytes for ${name} in one piece, either way`, () => {
        const { p11 } = module;
        const room = Buffer.alloc(CBC_BYTES + 64);
        p11.C_EncryptInit(session, mechanism, key);
        const ciphertext = Buffer.from(p11.C_Encrypt(session, Buffer.alloc(CBC_BYTES), room));
        p11.C_DecryptInit(session, mechanism, key);
        expect(p11.C_Decrypt(session, ciphertext, room)).to.deep.equal(Buffer.alloc(CBC_BYTES));
        p11.C_EncryptInit(session, mechanism, key);
        expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_Encrypt(session, Buffer.alloc(CBC_BYTES + 16), room));
        p11.C_DecryptInit(session, mechanism, key);
        expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () =>
          p11.C_Decrypt(session, Buffer.alloc(CBC_BYTES + 16), room),
        );
      });

      it(`does not bound the sum of ${name} in parts`, () => {
        const { p11 } = module;
        const input = Buffer.alloc(3 * CBC_BYTES, 0x11);
        p11.C_EncryptInit(session, mechanism, key);
        const output = [0, 1, 2].map((part) => {
          const piece = input.subarray(part * CBC_BYTES, (part + 1) * CBC_BYTES);
          return Buffer.from(p11.C_EncryptUpdate(session, piece, Buffer.alloc(CBC_BYTES + 16)));
        });
        p11.C_EncryptFinal(session, Buffer.alloc(16));
        const running = createCipheriv(outside, keyBytes, iv).setAutoPadding(false);
        expect(Buffer.concat(output)).to.deep.equal(running.update(input));
      });

      const large = 100_000 - (100_000 % 16);
      if (profile === 'strict') {
        it(`refuses a longer part of ${name}`, () => {
          module.p11.C_EncryptInit(session, mechanism, key);
          expectCkr(CKR.CKR_DATA_LEN_RANGE, () =>
            module.p11.C_EncryptUpdate(session, Buffer.alloc(large), Buffer.alloc(large)),
          );
        });
      } else {
        it(`takes a longer part of ${name} in several requests`, () => {
          const { p11 } = module;
          const input = Buffer.alloc(large + 32, 0x22);
          p11.C_EncryptInit(session, mechanism, key);
          // The first part ends within a block.
          const output = [input.subarray(0, 7), input.subarray(7, 7 + large), input.subarray(7 + large)].map(
            (part) => Buffer.from(p11.C_EncryptUpdate(session, part, Buffer.alloc(part.length + 16))),
          );
          p11.C_EncryptFinal(session, Buffer.alloc(16));
          const running = createCipheriv(outside, keyBytes, iv).setAutoPadding(false);
          expect(Buffer.concat(output)).to.deep.equal(running.update(input));
        });
      }
    }

    it(`is ${HMAC_SHA256_BYTES} bytes for HMAC-SHA-256, whole or in parts`, () => {
      const { p11 } = module;
      const mechanism = { mechanism: CKM.CKM_SHA256_HMAC };
      const mac = Buffer.alloc(32);
      p11.C_SignInit(session, mechanism, hmacKey);
      p11.C_Sign(session, Buffer.alloc(HMAC_SHA256_BYTES), mac);
      p11.C_SignInit(session, mechanism, hmacKey);
      expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_Sign(session, Buffer.alloc(HMAC_SHA256_BYTES + 1), mac));
      p11.C_SignInit(session, mechanism, hmacKey);
      p11.C_SignUpdate(session, Buffer.alloc(HMAC_SHA256_BYTES));
      expectCkr(CKR.CKR_DATA_LEN_RANGE, () => p11.C_SignUpdate(session, Buffer.alloc(1)));
    });
  });
}
