import { constants, createCipheriv, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { expect } from 'chai';
import { rsaPrivateComponents } from '../../src/crypto/index.js';
import { CKO } from '../../src/pkcs11/constants.js';
import { codeOf } from '../support/codes.js';
import {
  aesKey,
  ecPrivateKey,
  flags,
  gcm,
  mechanism,
  Program,
  rsaPrivateKey,
  template,
} from '../support/program.js';

/* The rest of docs/ATTACKS.md: attacks that need no wrapping. */

const KEY = Buffer.alloc(32, 5);
const NOTHING = Buffer.alloc(0);

describe('attacks on keys and ciphers', () => {
  let strict: Program;
  let compatible: Program;

  before(async () => {
    strict = await Program.start({ profile: 'strict', mode: 'NON_FIPS' });
    compatible = await Program.start({ mode: 'NON_FIPS' });
  });

  after(() => {
    strict.close();
    compatible.close();
  });

  it('attributes that protect a key change in one direction only', async () => {
    const key = await compatible.generateAes({
      ...flags('CKA_TOKEN', 'CKA_SENSITIVE', 'CKA_WRAP_WITH_TRUSTED'),
      CKA_EXTRACTABLE: false,
    });
    for (const pTemplate of [
      template({ CKA_SENSITIVE: false }),
      template({ CKA_EXTRACTABLE: true }),
      template({ CKA_WRAP_WITH_TRUSTED: false }),
    ]) {
      for (const call of ['C_SetAttributeValue', 'C_CopyObject'] as const)
        expect(await codeOf(() => compatible.call(call, { hObject: key, pTemplate }))).to.equal(
          'CKR_ATTRIBUTE_READ_ONLY',
        );
    }
    const own = await strict.generateAes({ CKA_TOKEN: true });
    const pTemplate = template({ CKA_LABEL: 'x' });
    for (const call of ['C_SetAttributeValue', 'C_CopyObject'] as const)
      expect(await codeOf(() => strict.call(call, { hObject: own, pTemplate }))).to.equal(
        'CKR_FUNCTION_NOT_SUPPORTED',
      );
  });

  it('no program encrypts with AES-GCM under an IV of its own in the strict profile', async () => {
    const key = await strict.generateAes(flags('CKA_ENCRYPT'));
    const init = (iv: Buffer) =>
      codeOf(() =>
        strict.call('C_EncryptInit', { pMechanism: mechanism('CKM_AES_GCM', gcm(iv)), hKey: key }),
      );
    expect(await init(KEY.subarray(0, 12))).to.equal('CKR_MECHANISM_PARAM_INVALID');
    expect(await init(Buffer.alloc(16))).to.equal('CKR_MECHANISM_PARAM_INVALID');
    const ivs = new Set<string>();
    for (let round = 0; round < 8; round++) {
      const pMechanism = mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12)));
      const begun = await strict.call('C_EncryptInit', { pMechanism, hKey: key });
      ivs.add(begun.pMechanism!.toString('hex'));
      await strict.call('C_Encrypt', { pData: KEY, pEncryptedData: 48 });
    }
    expect(ivs).to.have.length(8);
  });

  it('a length query and a short buffer make no second ciphertext under one IV', async () => {
    const key = await strict.generateAes(flags('CKA_ENCRYPT'));
    await strict.call('C_EncryptInit', {
      pMechanism: mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING)),
      hKey: key,
    });
    const query = await strict.call('C_Encrypt', { pData: KEY, pEncryptedData: -1 });
    expect(query.pEncryptedData).to.deep.equal({ length: 60 });
    expect(await codeOf(() => strict.call('C_Encrypt', { pData: KEY, pEncryptedData: 59 }))).to.equal(
      'CKR_BUFFER_TOO_SMALL',
    );
    expect(
      (await strict.call('C_Encrypt', { pData: KEY, pEncryptedData: 60 })).pEncryptedData,
    ).to.have.length(60);
    expect(await codeOf(() => strict.call('C_Encrypt', { pData: KEY, pEncryptedData: 60 }))).to.equal(
      'CKR_OPERATION_NOT_INITIALIZED',
    );
  });

  it('C_Decrypt tells a broken CBC padding, as the standard has it, and C_UnwrapKey has no CBC', async () => {
    const key = await strict.create({ ...aesKey, CKA_VALUE: KEY, ...flags('CKA_DECRYPT', 'CKA_UNWRAP') });
    const iv = Buffer.alloc(16);
    const cbc = mechanism('CKM_AES_CBC_PAD', iv);
    const broken = createCipheriv('aes-256-cbc', KEY, iv).setAutoPadding(false).update(Buffer.alloc(32));
    expect(await codeOf(() => strict.decrypt(key, cbc, broken))).to.equal('CKR_ENCRYPTED_DATA_INVALID');
    expect(await codeOf(() => strict.unwrap(key, cbc, broken, aesKey))).to.equal('CKR_MECHANISM_INVALID');
  });

  it('PKCS#1 v1.5 gives no oracle on unwrapping, and is not there in FIPS clusters (Bleichenbacher)', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const parts = rsaPrivateComponents(privateKey.export({ format: 'der', type: 'pkcs8' }));
    const rsa = await strict.create({
      ...rsaPrivateKey,
      CKA_MODULUS: parts.modulus,
      CKA_PUBLIC_EXPONENT: parts.publicExponent,
      CKA_PRIVATE_EXPONENT: parts.privateExponent,
      ...flags('CKA_UNWRAP', 'CKA_DECRYPT'),
    });
    const encrypted = (bytes: Buffer) =>
      publicEncrypt({ key: publicKey, padding: constants.RSA_PKCS1_PADDING }, bytes);
    const raw = (bytes: Buffer) =>
      publicEncrypt({ key: publicKey, padding: constants.RSA_NO_PADDING }, bytes);
    const unwrap = (wrapped: Buffer) =>
      codeOf(() => strict.unwrap(rsa, mechanism('CKM_RSA_PKCS'), wrapped, aesKey));
    expect(await unwrap(encrypted(KEY))).to.equal('CKR_OK');
    const conforming = Buffer.concat([
      Buffer.from([0, 2]),
      Buffer.alloc(221, 1),
      Buffer.from([0]),
      Buffer.alloc(32),
    ]);
    const answers: string[] = [];
    for (const at of [0, 1, 5, 223]) {
      const block = Buffer.from(conforming);
      block[at] = at === 5 ? 0 : 7;
      answers.push(await unwrap(raw(block)));
    }
    answers.push(await unwrap(encrypted(Buffer.alloc(31))));
    // Where OpenSSL answers broken padding with random bytes, they may by chance be as long as a key.
    expect(answers.filter((answer) => answer !== 'CKR_OK')).to.deep.equal(
      answers.filter((answer) => answer !== 'CKR_OK').map(() => 'CKR_WRAPPED_KEY_INVALID'),
    );
    expect(answers.at(-1), 'a key of the wrong length').to.equal('CKR_WRAPPED_KEY_INVALID');
    const fips = await Program.start({ profile: 'strict' });
    for (const call of ['C_DecryptInit', 'C_EncryptInit'] as const)
      expect(
        await codeOf(() => fips.call(call, { pMechanism: mechanism('CKM_RSA_PKCS'), hKey: 1 })),
      ).to.equal('CKR_MECHANISM_INVALID');
    expect(await codeOf(() => fips.unwrap(1, mechanism('CKM_RSA_PKCS'), Buffer.alloc(256), aesKey))).to.equal(
      'CKR_MECHANISM_INVALID',
    );
    fips.close();
  });

  it('a point that is not on its curve becomes no key', async () => {
    const curve = Buffer.from('06082a8648ce3d030107', 'hex');
    const point = Buffer.concat([Buffer.from([4, 65, 4]), Buffer.alloc(64, 3)]);
    const made = strict.create({
      ...ecPrivateKey,
      CKA_CLASS: CKO.CKO_PUBLIC_KEY,
      CKA_EC_PARAMS: curve,
      CKA_EC_POINT: point,
    });
    expect(await codeOf(() => made)).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
  });

  it('the secret of a key is never read in the strict profile', async () => {
    const key = await strict.create({ ...aesKey, CKA_VALUE: KEY });
    expect(await codeOf(() => strict.read(key, 'CKA_VALUE'))).to.equal('CKR_ATTRIBUTE_SENSITIVE');
  });
});
