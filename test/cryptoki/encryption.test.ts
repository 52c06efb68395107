import { constants, createCipheriv, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto';
import { expect } from 'chai';
import fc from 'fast-check';
import pkcs11js from 'pkcs11js';
import { CKR } from '../../src/pkcs11/ckr.js';
import { generateAes, generateRsa, importSecret, publicKeyOf } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

const { CKM_AES_ECB, CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_GCM, CKK_AES } = pkcs11js;
const CKM_AES_CTR = 0x1086;

const keyBytes = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const iv = Buffer.from('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff', 'hex');

/** CK_AES_CTR_PARAMS as pkcs11js does not know it: ulCounterBits, then cb. */
function ctrParameter(counterBits: number, cb: Buffer): Buffer {
  const parameter = Buffer.alloc(24);
  parameter.writeUInt32LE(counterBits, 0);
  cb.copy(parameter, 8);
  return parameter;
}

describe('encrypting and decrypting', () => {
  let module: TestModule;
  let session: Buffer;
  let key: Buffer;

  useModule((opened) => {
    ({ module, session } = opened);
  });

  before(() => {
    key = importSecret(module, session, CKK_AES, keyBytes);
  });

  const encrypt = (mechanism: pkcs11js.Mechanism, input: Buffer, room = input.length + 32): Buffer => {
    module.p11.C_EncryptInit(session, mechanism, key);
    return module.p11.C_Encrypt(session, input, Buffer.alloc(room));
  };
  const decrypt = (mechanism: pkcs11js.Mechanism, input: Buffer, room = input.length + 16): Buffer => {
    // An empty Buffer would reach the module as a NULL pointer, a length query.
    module.p11.C_DecryptInit(session, mechanism, key);
    return module.p11.C_Decrypt(session, input, Buffer.alloc(room));
  };
  /** Feeds `input` in pieces of the given sizes, the rest at the end. */
  const inParts = (
    use: 'Encrypt' | 'Decrypt',
    mechanism: pkcs11js.Mechanism,
    input: Buffer,
    sizes: readonly number[],
  ) => {
    const { p11 } = module;
    p11[`C_${use}Init`](session, mechanism, key);
    const output: Buffer[] = [];
    let at = 0;
    for (const size of [...sizes, input.length]) {
      const part = input.subarray(at, at + size);
      at += part.length;
      output.push(Buffer.from(p11[`C_${use}Update`](session, part, Buffer.alloc(part.length + 32))));
    }
    output.push(Buffer.from(p11[`C_${use}Final`](session, Buffer.alloc(input.length + 32))));
    return Buffer.concat(output);
  };

  const gcm = (gcmIv: Buffer, aad = Buffer.alloc(0), tagBits = 128): pkcs11js.Mechanism => ({
    mechanism: CKM_AES_GCM,
    parameter: {
      type: pkcs11js.CK_PARAMS_AES_GCM_v240,
      iv: gcmIv,
      ivBits: 96,
      aad,
      tagBits,
    } as pkcs11js.IParams,
  });

  const outside = (cipher: string, cipherIv: Buffer | null, input: Buffer, padding: boolean): Buffer => {
    const running = createCipheriv(cipher, keyBytes, cipherIv).setAutoPadding(padding);
    return Buffer.concat([running.update(input), running.final()]);
  };

  /** [name, mechanism, what OpenSSL says of it, inputs must be whole blocks] */
  const modes: readonly [string, pkcs11js.Mechanism, (input: Buffer) => Buffer, boolean][] = [
    ['AES-ECB', { mechanism: CKM_AES_ECB }, (input) => outside('aes-256-ecb', null, input, false), true],
    [
      'AES-CBC',
      { mechanism: CKM_AES_CBC, parameter: iv },
      (input) => outside('aes-256-cbc', iv, input, false),
      true,
    ],
    [
      'AES-CBC-PAD',
      { mechanism: CKM_AES_CBC_PAD, parameter: iv },
      (input) => outside('aes-256-cbc', iv, input, true),
      false,
    ],
    [
      'AES-CTR',
      { mechanism: CKM_AES_CTR, parameter: ctrParameter(128, iv) },
      (input) => outside('aes-256-ctr', iv, input, false),
      false,
    ],
  ];

  for (const [name, mechanism, reference, wholeBlocks] of modes) {
    describe(name, () => {
      it('agrees with OpenSSL for inputs of every length up to three blocks', () => {
        for (let length = 0; length <= 48; length += wholeBlocks ? 16 : 1) {
          const input = Buffer.alloc(length, length);
          const ciphertext = encrypt(mechanism, input);
          expect(ciphertext, `${length} bytes`).to.deep.equal(reference(input));
          expect(decrypt(mechanism, ciphertext), `${length} bytes`).to.deep.equal(input);
        }
      });

      it('gives the same in parts of any sizes', () => {
        const sizes = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 8 });
        fc.assert(
          fc.property(
            fc.integer({ min: 0, max: 12 }),
            fc.integer({ min: 0, max: 15 }),
            sizes,
            (blocks, rest, cut) => {
              const input = Buffer.alloc(blocks * 16 + (wholeBlocks ? 0 : rest), 0x33);
              const ciphertext = reference(input);
              expect(inParts('Encrypt', mechanism, input, cut)).to.deep.equal(ciphertext);
              expect(inParts('Decrypt', mechanism, ciphertext, cut)).to.deep.equal(input);
            },
          ),
          { numRuns: 60 },
        );
      });

      if (wholeBlocks) {
        it('refuses what is no whole block, whole or in parts', () => {
          expectCkr(CKR.CKR_DATA_LEN_RANGE, () => encrypt(mechanism, Buffer.alloc(17)));
          expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () => decrypt(mechanism, Buffer.alloc(17)));
          expectCkr(CKR.CKR_DATA_LEN_RANGE, () => inParts('Encrypt', mechanism, Buffer.alloc(17), [16]));
        });
      }
    });
  }

  it('refuses an IV of the wrong length, and a parameter where none is taken', () => {
    const init = (mechanism: pkcs11js.Mechanism) => () => module.p11.C_EncryptInit(session, mechanism, key);
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init({ mechanism: CKM_AES_CBC, parameter: Buffer.alloc(15) }));
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init({ mechanism: CKM_AES_CBC }));
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init({ mechanism: CKM_AES_ECB, parameter: iv }));
    expectCkr(
      CKR.CKR_MECHANISM_PARAM_INVALID,
      init({ mechanism: CKM_AES_CTR, parameter: ctrParameter(0, iv) }),
    );
    expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init({ mechanism: CKM_AES_CTR, parameter: iv }));
  });

  it('refuses damaged padding, and a padded ciphertext that is empty', () => {
    const mechanism = { mechanism: CKM_AES_CBC_PAD, parameter: iv };
    const ciphertext = outside('aes-256-cbc', iv, Buffer.alloc(32), false);
    expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, () => decrypt(mechanism, ciphertext));
    expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () => decrypt(mechanism, Buffer.alloc(0), 16));
  });

  it('refuses a CTR counter that would run over', () => {
    const last = Buffer.concat([iv.subarray(0, 12), Buffer.from('ffffffff', 'hex')]);
    const mechanism = { mechanism: CKM_AES_CTR, parameter: ctrParameter(32, last) };
    expect(encrypt(mechanism, Buffer.alloc(16))).to.deep.equal(
      outside('aes-256-ctr', last, Buffer.alloc(16), false),
    );
    expectCkr(CKR.CKR_DATA_LEN_RANGE, () => encrypt(mechanism, Buffer.alloc(17)));
  });

  it('refuses it in parts, too', () => {
    const last = Buffer.concat([iv.subarray(0, 15), Buffer.from([0xff])]);
    const mechanism = { mechanism: CKM_AES_CTR, parameter: ctrParameter(8, last) };
    expect(inParts('Encrypt', mechanism, Buffer.alloc(16), [16])).to.have.length(16);
    expectCkr(CKR.CKR_DATA_LEN_RANGE, () => inParts('Encrypt', mechanism, Buffer.alloc(32), [16, 1]));
  });

  describe('AES-GCM', () => {
    const aad = Buffer.from('header');
    const gcmIv = Buffer.from('cafebabefacedbaddecaf888', 'hex');
    const reference = (input: Buffer, tagBytes: number): Buffer => {
      const running = createCipheriv('aes-256-gcm', keyBytes, gcmIv, { authTagLength: tagBytes }).setAAD(aad);
      return Buffer.concat([running.update(input), running.final(), running.getAuthTag()]);
    };

    for (const tagBits of [96, 104, 112, 120, 128]) {
      it(`agrees with OpenSSL with a tag of ${tagBits} bits, whole and in parts`, () => {
        for (const length of [0, 1, 16, 100]) {
          const input = Buffer.alloc(length, 7);
          const expected = reference(input, tagBits / 8);
          expect(encrypt(gcm(gcmIv, aad, tagBits), input)).to.deep.equal(expected);
          expect(decrypt(gcm(gcmIv, aad, tagBits), expected)).to.deep.equal(input);
          expect(inParts('Encrypt', gcm(gcmIv, aad, tagBits), input, [3, 40])).to.deep.equal(expected);
          expect(inParts('Decrypt', gcm(gcmIv, aad, tagBits), expected, [3, 40])).to.deep.equal(input);
        }
      });
    }

    it('refuses what was altered: ciphertext, tag, AAD or IV', () => {
      const good = reference(Buffer.alloc(20), 16);
      const altered = (at: number): Buffer =>
        Buffer.from(good.map((byte, i) => (i === at ? byte ^ 1 : byte)));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, () => decrypt(gcm(gcmIv, aad), altered(0)));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, () => decrypt(gcm(gcmIv, aad), altered(good.length - 1)));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, () => decrypt(gcm(gcmIv, Buffer.from('other')), good));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, () => decrypt(gcm(iv.subarray(0, 12), aad), good));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, () => decrypt(gcm(gcmIv, aad), good.subarray(0, 15)));
    });

    it('refuses an empty IV and tags of odd lengths', () => {
      const init = (mechanism: pkcs11js.Mechanism) => () => module.p11.C_EncryptInit(session, mechanism, key);
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(gcm(Buffer.alloc(0))));
      for (const tagBits of [0, 8, 127, 136])
        expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, init(gcm(gcmIv, aad, tagBits)));
    });
  });

  describe('RSA', () => {
    let pair: ReturnType<typeof generateRsa>;

    before(() => {
      pair = generateRsa(module, session);
    });

    const oaep = (hashAlg: number, mgf: number): pkcs11js.Mechanism => ({
      mechanism: pkcs11js.CKM_RSA_PKCS_OAEP,
      parameter: { type: pkcs11js.CK_PARAMS_RSA_OAEP, hashAlg, mgf, source: 1 } as pkcs11js.IParams,
    });

    for (const [hash, hashAlg, mgf, most] of [
      ['sha1', pkcs11js.CKM_SHA_1, 1, 214],
      ['sha256', pkcs11js.CKM_SHA256, 2, 190],
      ['sha512', pkcs11js.CKM_SHA512, 4, 126],
    ] as const) {
      it(`opens with OAEP-${hash} what others and itself have encrypted`, () => {
        const plaintext = randomBytes(most);
        const outsideKey = createPublicKey(publicKeyOf(module, session, pair));
        const options = { key: outsideKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: hash };
        const { p11 } = module;
        p11.C_EncryptInit(session, oaep(hashAlg, mgf), pair.publicKey);
        const own = p11.C_Encrypt(session, plaintext, Buffer.alloc(256));
        for (const ciphertext of [publicEncrypt(options, plaintext), own]) {
          p11.C_DecryptInit(session, oaep(hashAlg, mgf), pair.privateKey);
          // Exactly as much room as the plaintext needs, less than the modulus: the real length decides.
          expect(p11.C_Decrypt(session, ciphertext, Buffer.alloc(most))).to.deep.equal(plaintext);
        }
        p11.C_EncryptInit(session, oaep(hashAlg, mgf), pair.publicKey);
        expectCkr(CKR.CKR_DATA_LEN_RANGE, () =>
          p11.C_Encrypt(session, Buffer.alloc(most + 1), Buffer.alloc(256)),
        );
      });
    }

    it('refuses OAEP with two different hashes, and ciphertext that is damaged or of another length', () => {
      const { p11 } = module;
      expectCkr(CKR.CKR_MECHANISM_PARAM_INVALID, () =>
        p11.C_DecryptInit(session, oaep(pkcs11js.CKM_SHA256, 1), pair.privateKey),
      );
      const decryptOaep = (ciphertext: Buffer) => () => {
        p11.C_DecryptInit(session, oaep(pkcs11js.CKM_SHA256, 2), pair.privateKey);
        p11.C_Decrypt(session, ciphertext, Buffer.alloc(256));
      };
      expectCkr(CKR.CKR_ENCRYPTED_DATA_INVALID, decryptOaep(Buffer.alloc(256, 1)));
      expectCkr(CKR.CKR_ENCRYPTED_DATA_LEN_RANGE, decryptOaep(Buffer.alloc(255, 1)));
    });

    it('does not encrypt with PKCS#1 v1.5 in a FIPS cluster', () => {
      const init = () =>
        module.p11.C_EncryptInit(session, { mechanism: pkcs11js.CKM_RSA_PKCS }, pair.publicKey);
      expectCkr(CKR.CKR_MECHANISM_INVALID, init);
    });
  });

  it('refuses keys that may not', () => {
    const noDecrypt = generateAes(module, session, 16, [{ type: pkcs11js.CKA_LABEL, value: 'x' }]);
    module.p11.C_EncryptInit(session, { mechanism: CKM_AES_ECB }, noDecrypt);
    module.p11.C_Encrypt(session, Buffer.alloc(16), Buffer.alloc(16));
    const silent = module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
      { type: pkcs11js.CKA_VALUE_LEN, value: 16 },
    ]);
    const init = () => module.p11.C_DecryptInit(session, { mechanism: CKM_AES_ECB }, silent);
    expectCkr(CKR.CKR_KEY_FUNCTION_NOT_PERMITTED, init);
  });
});
