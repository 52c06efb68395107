import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  privateDecrypt,
} from 'node:crypto';
import { expect } from 'chai';
import { rsaPrivateComponents, rsaPublicComponents } from '../../src/crypto/index.js';
import { mechanismsOf } from '../../src/mechanisms/mechanism-table.js';
import { CKF, CKG, CKO } from '../../src/pkcs11/constants.js';
import type { Mechanism } from '../../src/pkcs11/layouts.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { ulongOf } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import {
  aesKey,
  ecPrivateKey,
  flags,
  gcm,
  genericKey,
  type KeyKind,
  mechanism,
  oaep,
  Program,
  rsaAes,
  rsaPrivateKey,
  template,
} from '../support/program.js';

const NOTHING = Buffer.alloc(0);
const KEK = Buffer.from(Array.from({ length: 32 }, (_, at) => at));
const A6 = Buffer.alloc(8, 0xa6);

const noPad = mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD');
const pkcs5Pad = mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD');
const zeroPad = mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD');
const aesGcm = mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12)));
const cloudhsmGcm = mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING));
const rsaOaep = mechanism('CKM_RSA_PKCS_OAEP', oaep);
const rsaAesWrap = mechanism('CKM_RSA_AES_KEY_WRAP', rsaAes(256));
const rsaPkcs = mechanism('CKM_RSA_PKCS');

/** node:crypto's KW and KWP (RFC 3394, RFC 5649). */
function nodeWrap(plain: Buffer, padded: boolean): Buffer {
  const iv = padded ? Buffer.from('a65959a6', 'hex') : A6;
  const cipher = createCipheriv(padded ? 'id-aes256-wrap-pad' : 'aes256-wrap', KEK, iv);
  return Buffer.concat([cipher.update(plain), cipher.final()]);
}

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pkcs8Of = (key: typeof rsa): Buffer => key.privateKey.export({ format: 'der', type: 'pkcs8' });

describe('wrapping and unwrapping keys', () => {
  let program: Program;
  let kek: number;
  let rsaPublic: number;
  let rsaPrivate: number;

  before(async () => {
    program = await Program.start({ mode: 'NON_FIPS' });
    kek = await program.create({
      ...aesKey,
      CKA_VALUE: KEK,
      ...flags('CKA_TOKEN', 'CKA_WRAP', 'CKA_UNWRAP'),
    });
    const spki = rsaPublicComponents(rsa.publicKey.export({ format: 'der', type: 'spki' }));
    const parts = rsaPrivateComponents(pkcs8Of(rsa));
    rsaPublic = await program.create({
      ...rsaPrivateKey,
      CKA_CLASS: CKO.CKO_PUBLIC_KEY,
      CKA_MODULUS: spki.modulus,
      CKA_PUBLIC_EXPONENT: spki.publicExponent,
      ...flags('CKA_TOKEN', 'CKA_WRAP'),
    });
    rsaPrivate = await program.create({
      ...rsaPrivateKey,
      CKA_MODULUS: parts.modulus,
      CKA_PUBLIC_EXPONENT: parts.publicExponent,
      CKA_PRIVATE_EXPONENT: parts.privateExponent,
      ...flags('CKA_TOKEN', 'CKA_UNWRAP'),
    });
  });

  after(() => program.close());

  const secret = (lengthBytes: number, kind: KeyKind = genericKey): Promise<number> =>
    program.create({ ...kind, CKA_VALUE: Buffer.alloc(lengthBytes, 7), CKA_SENSITIVE: false });
  const reveal = (key: number): Promise<Buffer | undefined> => program.read(key, 'CKA_VALUE');
  const revealed = { CKA_SENSITIVE: false };

  const wraps: readonly [string, Mechanism, () => [number, number]][] = [
    ['CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD', noPad, () => [kek, kek]],
    ['CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD', pkcs5Pad, () => [kek, kek]],
    ['CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD', zeroPad, () => [kek, kek]],
    ['CKM_AES_GCM', aesGcm, () => [kek, kek]],
    ['CKM_CLOUDHSM_AES_GCM', cloudhsmGcm, () => [kek, kek]],
    ['CKM_RSA_PKCS_OAEP', rsaOaep, () => [rsaPublic, rsaPrivate]],
    ['CKM_RSA_PKCS', rsaPkcs, () => [rsaPublic, rsaPrivate]],
    ['CKM_RSA_AES_KEY_WRAP', rsaAesWrap, () => [rsaPublic, rsaPrivate]],
  ];

  for (const [name, how, keys] of wraps) {
    it(`${name} brings secret keys back as they were`, async () => {
      const [wrapping, unwrapping] = keys();
      for (const [kind, lengthBytes] of [
        [aesKey, 16],
        [aesKey, 24],
        [aesKey, 32],
        [genericKey, 64],
      ] as const) {
        const key = await secret(lengthBytes, kind);
        const { wrapped, iv } = await program.wrap(wrapping, how, key);
        expect(await program.wrappedBytes(wrapping, how, key), 'the size asked for').to.equal(wrapped.length);
        const back = iv === undefined ? how : mechanism('CKM_AES_GCM', gcm(iv));
        const again = await program.unwrap(unwrapping, back, wrapped, { ...kind, ...revealed });
        expect(await reveal(again)).to.deep.equal(Buffer.alloc(lengthBytes, 7));
      }
    });
  }

  for (const [name, how, keys] of wraps.filter(([name]) => !/NO_PAD|OAEP|RSA_PKCS/.test(name))) {
    it(`${name} brings private keys back, as PKCS#8`, async () => {
      const [wrapping, unwrapping] = keys();
      for (const [kind, pair, sign] of [
        [rsaPrivateKey, rsa, mechanism('CKM_SHA256_RSA_PKCS')],
        [ecPrivateKey, ec, mechanism('CKM_ECDSA_SHA256')],
      ] as const) {
        const first = await program.unwrap(kek, zeroPad, nodeWrap(pkcs8Of(pair as typeof rsa), true), {
          ...kind,
          CKA_SIGN: true,
        });
        const { wrapped, iv } = await program.wrap(wrapping, how, first);
        const back = iv === undefined ? how : mechanism('CKM_AES_GCM', gcm(iv));
        const second = await program.unwrap(unwrapping, back, wrapped, { ...kind, CKA_SIGN: true });
        await program.call('C_SignInit', { pMechanism: sign, hKey: second });
        const { pSignature } = await program.call('C_Sign', { pData: KEK, pSignature: 512 });
        expect((pSignature as Buffer).length).to.be.greaterThan(63);
        for (const part of ['CKA_CHECK_VALUE', 'CKA_CLASS', 'CKA_KEY_TYPE'] as const)
          expect(await program.read(second, part)).to.deep.equal(await program.read(first, part));
      }
    });
  }

  it('makes KW, KW of the padded key, and KWP as node:crypto does (RFC 3394, RFC 5649; reference 9.5)', async () => {
    const plain = Buffer.alloc(32, 7);
    const key = await secret(32, aesKey);
    expect((await program.wrap(kek, noPad, key)).wrapped).to.deep.equal(nodeWrap(plain, false));
    expect((await program.wrap(kek, zeroPad, key)).wrapped).to.deep.equal(nodeWrap(plain, true));
    const padded = Buffer.concat([plain, Buffer.alloc(8, 8)]);
    expect((await program.wrap(kek, pkcs5Pad, key)).wrapped).to.deep.equal(nodeWrap(padded, false));
    const odd = await secret(13);
    const paddedOdd = Buffer.concat([Buffer.alloc(13, 7), Buffer.alloc(3, 3)]);
    expect((await program.wrap(kek, pkcs5Pad, odd)).wrapped).to.deep.equal(nodeWrap(paddedOdd, false));
  });

  it('takes the default IV where the reference says it may be given', async () => {
    const key = await secret(32, aesKey);
    for (const name of ['CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD', 'CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD'] as const) {
      const { wrapped } = await program.wrap(kek, mechanism(name, A6), key);
      expect(wrapped).to.deep.equal((await program.wrap(kek, mechanism(name), key)).wrapped);
    }
  });

  const sizes: readonly [string, Mechanism, number, number | string][] = [
    ['NO_PAD', noPad, 32, 40],
    ['NO_PAD', noPad, 16, 24],
    ['NO_PAD', noPad, 24, 32],
    ['NO_PAD', noPad, 8, 'CKR_KEY_SIZE_RANGE'],
    ['NO_PAD', noPad, 20, 'CKR_KEY_SIZE_RANGE'],
    ['PKCS5_PAD', pkcs5Pad, 32, 48],
    ['PKCS5_PAD', pkcs5Pad, 20, 32],
    ['PKCS5_PAD', pkcs5Pad, 8, 24],
    ['PKCS5_PAD', pkcs5Pad, 7, 'CKR_KEY_SIZE_RANGE'],
    ['ZERO_PAD', zeroPad, 32, 40],
    ['ZERO_PAD', zeroPad, 20, 32],
    ['ZERO_PAD', zeroPad, 1, 16],
    ['AES_GCM', aesGcm, 32, 48],
    ['CLOUDHSM_AES_GCM', cloudhsmGcm, 32, 60],
  ];
  for (const [name, how, lengthBytes, expected] of sizes) {
    it(`${name} makes of ${lengthBytes} bytes ${expected} (reference 9.5)`, async () => {
      const key = await secret(lengthBytes);
      const attempt = program.wrappedBytes(kek, how, key);
      if (typeof expected === 'number') expect(await attempt).to.equal(expected);
      else expect(await codeOf(() => attempt)).to.equal(expected);
    });
  }

  it('RSA wraps what fits: 190 bytes with OAEP-SHA256 and RSA-2048, 245 with PKCS#1 (reference 9.6)', async () => {
    for (const [how, most] of [
      [rsaOaep, 190],
      [rsaPkcs, 245],
    ] as const) {
      expect(await program.wrappedBytes(rsaPublic, how, await secret(most))).to.equal(256);
      const longer = await secret(most + 1);
      expect(await codeOf(() => program.wrap(rsaPublic, how, longer))).to.equal('CKR_KEY_SIZE_RANGE');
    }
    expect(await program.wrappedBytes(rsaPublic, rsaAesWrap, await secret(32, aesKey))).to.equal(256 + 40);
  });

  it('RSA alone wraps and unwraps secret keys only', async () => {
    const key = await program.unwrap(kek, zeroPad, nodeWrap(pkcs8Of(ec as never), true), ecPrivateKey);
    expect(await codeOf(() => program.wrap(rsaPublic, rsaOaep, key))).to.equal('CKR_KEY_NOT_WRAPPABLE');
    const { wrapped } = await program.wrap(rsaPublic, rsaOaep, await secret(32));
    expect(await codeOf(() => program.unwrap(rsaPrivate, rsaOaep, wrapped, ecPrivateKey))).to.equal(
      'CKR_TEMPLATE_INCONSISTENT',
    );
  });

  it('keeps keys that could not be unwrapped again', async () => {
    const { phPrivateKey } = await program.call('C_GenerateKeyPair', {
      pMechanism: mechanism('CKM_EC_KEY_PAIR_GEN'),
      pPublicKeyTemplate: template({ CKA_EC_PARAMS: Buffer.from('06032b6570', 'hex'), CKA_VERIFY: true }),
      pPrivateKeyTemplate: template({ CKA_SIGN: true }),
    });
    for (const how of [zeroPad, cloudhsmGcm])
      expect(await codeOf(() => program.wrap(kek, how, phPrivateKey))).to.equal('CKR_KEY_NOT_WRAPPABLE');
  });

  it('what RSA wraps is what node:crypto decrypts', async () => {
    const key = await secret(32, aesKey);
    const decrypted = (wrapped: Buffer): Buffer =>
      privateDecrypt(
        { key: rsa.privateKey, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' },
        wrapped,
      );
    expect(decrypted((await program.wrap(rsaPublic, rsaOaep, key)).wrapped)).to.deep.equal(
      Buffer.alloc(32, 7),
    );
    const { wrapped } = await program.wrap(rsaPublic, rsaAesWrap, key);
    const temporary = decrypted(wrapped.subarray(0, 256));
    expect(temporary).to.have.length(32);
    const kwp = createDecipheriv('id-aes256-wrap-pad', temporary, Buffer.from('a65959a6', 'hex'));
    expect(kwp.update(wrapped.subarray(256))).to.deep.equal(Buffer.alloc(32, 7));
  });

  it('GCM makes an IV of its own for each wrapped key, and none for a length query or a short buffer', async () => {
    const key = await secret(32, aesKey);
    const query = await program.wrapInto(-1, kek, aesGcm, key);
    expect(query).to.deep.equal({ pWrappedKey: { length: 48 }, pMechanism: undefined });
    expect(await codeOf(() => program.wrapInto(47, kek, aesGcm, key))).to.equal('CKR_BUFFER_TOO_SMALL');
    const ivs = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const { iv, wrapped } = await program.wrap(kek, aesGcm, key);
      ivs.add(iv!.toString('hex'));
      const decipher = createDecipheriv('aes-256-gcm', KEK, iv!).setAuthTag(wrapped.subarray(32));
      expect(Buffer.concat([decipher.update(wrapped.subarray(0, 32)), decipher.final()])).to.deep.equal(
        Buffer.alloc(32, 7),
      );
    }
    expect(ivs).to.have.length(4);
    const other = await codeOf(() =>
      program.wrap(kek, mechanism('CKM_AES_GCM', gcm(KEK.subarray(0, 12))), key),
    );
    expect(other, "a program's own IV").to.equal('CKR_MECHANISM_PARAM_INVALID');
  });

  it('authenticates the additional data of GCM', async () => {
    const key = await secret(32, aesKey);
    const aad = Buffer.from('for backup');
    const { wrapped } = await program.wrap(kek, mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING, aad)), key);
    const open = (data: Buffer) =>
      codeOf(() =>
        program.unwrap(kek, mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING, data)), wrapped, aesKey),
      );
    expect(await open(aad)).to.equal('CKR_OK');
    expect(await open(Buffer.from('for Backup'))).to.equal('CKR_WRAPPED_KEY_INVALID');
  });

  it('refuses parameters that are not those of the mechanism', async () => {
    const key = await secret(32, aesKey);
    const bad: readonly [number, Mechanism][] = [
      [kek, mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD', Buffer.alloc(8))],
      [kek, mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD', A6.subarray(1))],
      [kek, mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD', Buffer.from('a65959a6', 'hex'))],
      [kek, mechanism('CKM_CLOUDHSM_AES_GCM', gcm(Buffer.alloc(12)))],
      [kek, mechanism('CKM_AES_GCM', gcm(Buffer.alloc(16)))],
      [kek, mechanism('CKM_AES_GCM', gcm(NOTHING))],
      [kek, mechanism('CKM_AES_GCM', gcm(Buffer.alloc(12), NOTHING, 72))],
      [kek, mechanism('CKM_AES_GCM', { layout: 'unusable', lengthBytes: 40 })],
      [kek, mechanism('CKM_AES_GCM')],
      [rsaPublic, mechanism('CKM_RSA_PKCS_OAEP', { ...oaep, mgf: CKG.CKG_MGF1_SHA1 })],
      [rsaPublic, mechanism('CKM_RSA_PKCS_OAEP', { ...oaep, pSourceData: Buffer.from('label') })],
      [rsaPublic, mechanism('CKM_RSA_AES_KEY_WRAP', rsaAes(255))],
      [rsaPublic, mechanism('CKM_RSA_AES_KEY_WRAP', rsaAes(512))],
      [rsaPublic, mechanism('CKM_RSA_AES_KEY_WRAP', oaep)],
      [rsaPublic, mechanism('CKM_RSA_PKCS', A6)],
    ];
    for (const [wrapping, how] of bad) {
      expect(await codeOf(() => program.wrap(wrapping, how, key)), JSON.stringify(how)).to.equal(
        'CKR_MECHANISM_PARAM_INVALID',
      );
    }
  });

  it('refuses every other mechanism (reference 9.1), RSA_PKCS in FIPS clusters too (9.2)', async () => {
    const key = await secret(32, aesKey);
    for (const type of [
      0x2109,
      0x210a,
      CKM.CKM_AES_CBC,
      CKM.CKM_AES_CBC_PAD,
      CKM.CKM_AES_ECB,
      CKM.CKM_RSA_X_509,
    ]) {
      expect(await codeOf(() => program.wrap(kek, { type, parameter: undefined }, key))).to.equal(
        'CKR_MECHANISM_INVALID',
      );
    }
    const fips = await Program.start();
    expect(await codeOf(() => fips.wrap(1, rsaPkcs, 1))).to.equal('CKR_MECHANISM_INVALID');
    fips.close();
    const flagsIn = (mode: 'FIPS' | 'NON_FIPS') =>
      mechanismsOf({ hsmType: 'hsm2m.medium', mode }).info(CKM.CKM_RSA_PKCS).flags;
    expect(flagsIn('FIPS') & (CKF.CKF_WRAP | CKF.CKF_UNWRAP)).to.equal(0);
    expect(flagsIn('NON_FIPS') & CKF.CKF_WRAP).to.equal(CKF.CKF_WRAP);
  });

  it('answers damaged, foreign and misnamed wrapped keys all alike', async () => {
    for (const [, how, keys] of wraps.filter(([name]) => name !== 'CKM_RSA_PKCS')) {
      const [wrapping, unwrapping] = keys();
      const { wrapped, iv } = await program.wrap(wrapping, how, await secret(40));
      const back = iv === undefined ? how : mechanism('CKM_AES_GCM', gcm(iv));
      const unwrap = (bytes: Buffer, kind: KeyKind) =>
        codeOf(() => program.unwrap(unwrapping, back, bytes, kind));
      const damaged = Buffer.from(wrapped);
      damaged[wrapped.length - 1]! ^= 1;
      expect(await unwrap(damaged, genericKey), 'damaged').to.equal('CKR_WRAPPED_KEY_INVALID');
      expect(await unwrap(wrapped, aesKey), '40 bytes as an AES key').to.equal('CKR_WRAPPED_KEY_INVALID');
      if (how !== rsaOaep)
        expect(await unwrap(wrapped, rsaPrivateKey), 'as PKCS#8').to.equal('CKR_WRAPPED_KEY_INVALID');
    }
  });

  it('refuses lengths that no wrapped key has', async () => {
    const unwrap = (key: number, how: Mechanism, lengthBytes: number) =>
      codeOf(() => program.unwrap(key, how, Buffer.alloc(lengthBytes), genericKey));
    for (const [key, how, lengths] of [
      [kek, noPad, [0, 8, 16, 25, 17 * 1024]],
      [kek, pkcs5Pad, [0, 8, 16, 25]],
      [kek, zeroPad, [0, 8, 17]],
      [kek, cloudhsmGcm, [0, 27]],
      [rsaPrivate, rsaOaep, [0, 255, 257]],
      [rsaPrivate, rsaAesWrap, [256, 264]],
    ] as const) {
      for (const lengthBytes of lengths)
        expect(await unwrap(key, how, lengthBytes), `${lengthBytes} bytes`).to.equal(
          'CKR_WRAPPED_KEY_LEN_RANGE',
        );
    }
  });

  it('refuses a temporary AES key of another length than the parameter says', async () => {
    const { wrapped } = await program.wrap(
      rsaPublic,
      mechanism('CKM_RSA_AES_KEY_WRAP', rsaAes(128)),
      await secret(32),
    );
    expect(await codeOf(() => program.unwrap(rsaPrivate, rsaAesWrap, wrapped, genericKey))).to.equal(
      'CKR_WRAPPED_KEY_INVALID',
    );
  });

  it('gives an unwrapped key the attributes of one that came from outside', async () => {
    const { wrapped } = await program.wrap(kek, zeroPad, await secret(32, aesKey));
    const key = await program.unwrap(kek, zeroPad, wrapped, {
      ...aesKey,
      ...flags('CKA_TOKEN', 'CKA_SENSITIVE'),
    });
    for (const [name, expected] of [
      ['CKA_LOCAL', false],
      ['CKA_ALWAYS_SENSITIVE', false],
      ['CKA_NEVER_EXTRACTABLE', false],
      ['CKA_SENSITIVE', true],
      ['CKA_EXTRACTABLE', true],
      ['CKA_ENCRYPT', false],
      ['CKA_TOKEN', true],
    ] as const) {
      expect(await program.readBool(key, name), name).to.equal(expected);
    }
    expect(ulongOf((await program.read(key, 'CKA_VALUE_LEN'))!)).to.equal(32);
    for (const hsm of program.cluster.hsms)
      expect(hsm.objects.get(key), hsm.settings.id).not.to.equal(undefined);
  });

  it('ends an unwrapped session key with its session', async () => {
    const { wrapped } = await program.wrap(kek, zeroPad, await secret(32, aesKey));
    const other = await Program.on(program.cluster);
    const key = await other.unwrap(kek, zeroPad, wrapped, aesKey);
    await other.call('C_CloseSession', {});
    expect(await codeOf(() => program.read(key, 'CKA_LABEL'))).to.equal('CKR_OBJECT_HANDLE_INVALID');
    other.close();
  });
});
