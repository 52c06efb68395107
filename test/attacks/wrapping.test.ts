import { createCipheriv, generateKeyPairSync, publicEncrypt } from 'node:crypto';
import { expect } from 'chai';
import { rsaPublicComponents } from '../../src/crypto/index.js';
import { CKO } from '../../src/pkcs11/constants.js';
import { codeOf } from '../support/codes.js';
import {
  aesKey,
  flags,
  gcm,
  genericKey,
  mechanism,
  oaep,
  Program,
  rsaPrivateKey,
  template,
} from '../support/program.js';

/*
 * Published attacks on the PKCS#11 interface: what stops them, or that they succeed on CloudHSM unless its users set what the
 * test sets. docs/ATTACKS.md has the table, with the sources.
 */

const NOTHING = Buffer.alloc(0);
const zeroPad = mechanism('CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD');
const cloudhsmGcm = mechanism('CKM_CLOUDHSM_AES_GCM', gcm(NOTHING));
const rsaOaep = mechanism('CKM_RSA_PKCS_OAEP', oaep);
const ATTACKERS = Buffer.alloc(32, 0xa7);

describe('attacks on wrapping keys', () => {
  let program: Program;
  let victim: number;

  before(async () => {
    program = await Program.start({ profile: 'strict' });
    victim = await program.generateAes({ CKA_TOKEN: true, CKA_ENCRYPT: true });
  });

  after(() => program.close());

  const tokenAes = (values: Parameters<typeof template>[0]): Promise<number> =>
    program.generateAes({ CKA_TOKEN: true, ...values });
  const guarded = (): Promise<number> => tokenAes({ CKA_WRAP_WITH_TRUSTED: true });

  describe('wrap and decrypt', () => {
    it('a key that wraps and decrypts gives away what it wraps, as on CloudHSM', async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_DECRYPT'));
      const { wrapped } = await program.wrap(kek, cloudhsmGcm, victim);
      const stolen = await program.decrypt(kek, cloudhsmGcm, wrapped);
      expect(await program.encrypt(victim, mechanism('CKM_AES_ECB'), Buffer.alloc(16))).to.deep.equal(
        createCipheriv('aes-256-ecb', stolen, null).setAutoPadding(false).update(Buffer.alloc(16)),
      );
    });

    it('CKA_WRAP_WITH_TRUSTED keeps a key from every wrapping key that no admin trusts', async () => {
      const target = await guarded();
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_DECRYPT'));
      expect(await codeOf(() => program.wrap(kek, cloudhsmGcm, target))).to.equal('CKR_KEY_NOT_WRAPPABLE');
      expect(await codeOf(() => program.wrappedBytes(kek, cloudhsmGcm, target))).to.equal(
        'CKR_KEY_NOT_WRAPPABLE',
      );
      const trusted = await tokenAes(flags('CKA_WRAP'));
      await program.trust(trusted);
      expect((await program.wrap(trusted, cloudhsmGcm, target)).wrapped).to.have.length(60);
      await program.trust(trusted, false);
      expect(await codeOf(() => program.wrap(trusted, cloudhsmGcm, target))).to.equal(
        'CKR_KEY_NOT_WRAPPABLE',
      );
    });

    it('CKA_WRAP_TEMPLATE keeps a wrapping key from wrapping other keys than it names', async () => {
      const kek = await tokenAes({
        CKA_WRAP: true,
        CKA_WRAP_TEMPLATE: template({ CKA_ENCRYPT: true, CKA_LABEL: 'backup' }),
      });
      const wrap = (key: number) => codeOf(() => program.wrap(kek, zeroPad, key));
      expect(await wrap(await tokenAes({ CKA_ENCRYPT: true, CKA_LABEL: 'backup' }))).to.equal('CKR_OK');
      expect(await wrap(await tokenAes({ CKA_ENCRYPT: false, CKA_LABEL: 'backup' }))).to.equal(
        'CKR_KEY_HANDLE_INVALID',
      );
      expect(await wrap(victim), 'a label that is not there').to.equal('CKR_KEY_HANDLE_INVALID');
    });
  });

  describe('who may wrap what', () => {
    it('a key with CKA_EXTRACTABLE FALSE leaves under no key, trusted or not', async () => {
      const kek = await tokenAes(flags('CKA_WRAP'));
      await program.trust(kek);
      const fixed = await tokenAes({ CKA_EXTRACTABLE: false });
      for (const how of [zeroPad, cloudhsmGcm])
        expect(await codeOf(() => program.wrap(kek, how, fixed))).to.equal('CKR_KEY_UNEXTRACTABLE');
    });

    it('a wrapping key does not wrap itself once it is not extractable', async () => {
      const open = await tokenAes(flags('CKA_WRAP'));
      expect(await codeOf(() => program.wrap(open, zeroPad, open)), 'as on CloudHSM').to.equal('CKR_OK');
      const fixed = await tokenAes({ CKA_WRAP: true, CKA_EXTRACTABLE: false });
      expect(await codeOf(() => program.wrap(fixed, zeroPad, fixed))).to.equal('CKR_KEY_UNEXTRACTABLE');
    });

    it('keys wrap and unwrap only what CKA_WRAP and CKA_UNWRAP say', async () => {
      const [wraps, unwraps] = [await tokenAes(flags('CKA_WRAP')), await tokenAes(flags('CKA_UNWRAP'))];
      expect(await codeOf(() => program.wrap(unwraps, zeroPad, victim))).to.equal(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
      );
      expect(await codeOf(() => program.unwrap(wraps, zeroPad, Buffer.alloc(40), aesKey))).to.equal(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
      );
      const generic = await program.create({ ...genericKey, CKA_VALUE: ATTACKERS, CKA_TOKEN: true });
      expect(await codeOf(() => program.wrap(generic, zeroPad, victim))).to.equal(
        'CKR_WRAPPING_KEY_TYPE_INCONSISTENT',
      );
      expect(await codeOf(() => program.unwrap(generic, zeroPad, Buffer.alloc(40), aesKey))).to.equal(
        'CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT',
      );
    });

    it("another user's keys neither wrap nor are wrapped", async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const other = await Program.on(program.cluster, { user: 'other_user', profile: 'strict' });
      const own = await other.generateAes({ CKA_TOKEN: true, CKA_WRAP: true });
      expect(await codeOf(() => other.wrap(own, zeroPad, victim))).to.equal('CKR_KEY_HANDLE_INVALID');
      expect(await codeOf(() => other.wrap(kek, zeroPad, own))).to.equal('CKR_WRAPPING_KEY_HANDLE_INVALID');
      expect(await codeOf(() => other.unwrap(kek, zeroPad, Buffer.alloc(40), aesKey))).to.equal(
        'CKR_UNWRAPPING_KEY_HANDLE_INVALID',
      );
      other.close();
    });

    it('public keys cannot be wrapped', async () => {
      const kek = await tokenAes(flags('CKA_WRAP'));
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const parts = rsaPublicComponents(publicKey.export({ format: 'der', type: 'spki' }));
      const key = await program.create({
        ...rsaPrivateKey,
        CKA_CLASS: CKO.CKO_PUBLIC_KEY,
        CKA_MODULUS: parts.modulus,
        CKA_PUBLIC_EXPONENT: parts.publicExponent,
      });
      expect(await codeOf(() => program.wrap(kek, zeroPad, key))).to.equal('CKR_KEY_NOT_WRAPPABLE');
    });
  });

  describe('trojan wrapping keys', () => {
    it('a wrapping key that the attacker brings along takes what is not guarded, as on CloudHSM', async () => {
      const trojan = await program.create({
        ...aesKey,
        CKA_VALUE: ATTACKERS,
        ...flags('CKA_TOKEN', 'CKA_WRAP'),
      });
      expect(await codeOf(() => program.wrap(trojan, zeroPad, victim))).to.equal('CKR_OK');
      expect(await codeOf(async () => program.wrap(trojan, zeroPad, await guarded()))).to.equal(
        'CKR_KEY_NOT_WRAPPABLE',
      );
    });

    it('a public key that the attacker brings along takes what is not guarded, as on CloudHSM', async () => {
      const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const parts = rsaPublicComponents(publicKey.export({ format: 'der', type: 'spki' }));
      const trojan = await program.create({
        ...rsaPrivateKey,
        CKA_CLASS: CKO.CKO_PUBLIC_KEY,
        CKA_MODULUS: parts.modulus,
        CKA_PUBLIC_EXPONENT: parts.publicExponent,
        ...flags('CKA_TOKEN', 'CKA_WRAP'),
      });
      expect(await codeOf(() => program.wrap(trojan, rsaOaep, victim))).to.equal('CKR_OK');
      expect(await codeOf(async () => program.wrap(trojan, rsaOaep, await guarded()))).to.equal(
        'CKR_KEY_NOT_WRAPPABLE',
      );
    });

    it('no crypto user makes a key trusted: not in a template, not afterwards, not by a copy', async () => {
      const trusting = template({ CKA_TRUSTED: true });
      expect(await codeOf(() => tokenAes({ CKA_TRUSTED: true }))).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
      expect(
        await codeOf(() => program.create({ ...aesKey, CKA_VALUE: ATTACKERS, CKA_TRUSTED: true })),
      ).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
      const kek = await tokenAes({ CKA_WRAP: true });
      expect(await codeOf(() => program.session.client.setKeyAttribute(kek, trusting[0]!))).to.equal(
        'CKR_ACTION_PROHIBITED',
      );
      const lenient = await Program.start();
      const trusted = await lenient.generateAes({ CKA_TOKEN: true, CKA_WRAP: true });
      await lenient.trust(trusted);
      const set = lenient.call('C_SetAttributeValue', {
        hObject: trusted,
        pTemplate: template({ CKA_TRUSTED: false }),
      });
      expect(await codeOf(() => set)).to.equal('CKR_ATTRIBUTE_READ_ONLY');
      const { phNewObject } = await lenient.call('C_CopyObject', {
        hObject: trusted,
        pTemplate: template({ CKA_DECRYPT: true }),
      });
      expect(await lenient.readBool(trusted, 'CKA_TRUSTED')).to.equal(true);
      expect(await lenient.readBool(phNewObject, 'CKA_TRUSTED')).to.equal(false);
      lenient.close();
    });

    it('unwrapping makes no trusted key', async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const { wrapped } = await program.wrap(kek, zeroPad, victim);
      expect(
        await codeOf(() => program.unwrap(kek, zeroPad, wrapped, { ...aesKey, CKA_TRUSTED: true })),
      ).to.equal('CKR_TEMPLATE_INCONSISTENT');
      const imposing = await tokenAes({
        ...flags('CKA_WRAP', 'CKA_UNWRAP'),
        CKA_UNWRAP_TEMPLATE: template({ CKA_TRUSTED: true }),
      });
      const again = (await program.wrap(imposing, zeroPad, victim)).wrapped;
      expect(await codeOf(() => program.unwrap(imposing, zeroPad, again, aesKey))).to.equal(
        'CKR_ATTRIBUTE_VALUE_INVALID',
      );
    });
  });

  describe('weak wrapping keys', () => {
    it('a longer key may be wrapped under a shorter one, as the standard has it', async () => {
      const short = await tokenAes({ CKA_VALUE_LEN: 16, CKA_WRAP: true });
      expect(await codeOf(() => program.wrap(short, zeroPad, victim))).to.equal('CKR_OK');
      expect(await codeOf(async () => program.wrap(short, zeroPad, await guarded()))).to.equal(
        'CKR_KEY_NOT_WRAPPABLE',
      );
    });
  });

  describe('unwrapping with other attributes', () => {
    it('a key comes back with whatever the template says, unless the unwrapping key has one of its own', async () => {
      const open = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const source = await tokenAes({ CKA_WRAP: true });
      const loose = await program.unwrap(open, zeroPad, (await program.wrap(open, zeroPad, source)).wrapped, {
        ...aesKey,
        ...flags('CKA_WRAP', 'CKA_DECRYPT'),
      });
      expect(await program.readBool(loose, 'CKA_DECRYPT'), 'as on CloudHSM').to.equal(true);

      const strict = await tokenAes({
        ...flags('CKA_WRAP', 'CKA_UNWRAP'),
        CKA_UNWRAP_TEMPLATE: template({ CKA_DECRYPT: false, CKA_EXTRACTABLE: false }),
      });
      const { wrapped } = await program.wrap(strict, zeroPad, source);
      const unwrap = (values: object) => program.unwrap(strict, zeroPad, wrapped, { ...aesKey, ...values });
      expect(await codeOf(() => unwrap({ CKA_DECRYPT: true }))).to.equal('CKR_TEMPLATE_INCONSISTENT');
      const same = await unwrap({ CKA_DECRYPT: false });
      const silent = await unwrap({});
      for (const key of [same, silent]) {
        expect(await program.readBool(key, 'CKA_DECRYPT')).to.equal(false);
        expect(await program.readBool(key, 'CKA_EXTRACTABLE')).to.equal(false);
        expect(await program.readBool(key, 'CKA_NEVER_EXTRACTABLE')).to.equal(false);
      }
    });

    it('CKA_WRAP_WITH_TRUSTED is lost in a wrapped key, and CKA_UNWRAP_TEMPLATE brings it back', async () => {
      const target = await guarded();
      const values = flags('CKA_WRAP', 'CKA_UNWRAP');
      const kek = await tokenAes({
        ...values,
        CKA_UNWRAP_TEMPLATE: template({ CKA_WRAP_WITH_TRUSTED: true }),
      });
      const plain = await tokenAes(values);
      for (const [key, expected] of [
        [kek, true],
        [plain, false],
      ] as const) {
        await program.trust(key);
        const back = await program.unwrap(
          key,
          zeroPad,
          (await program.wrap(key, zeroPad, target)).wrapped,
          aesKey,
        );
        expect(await program.readBool(back, 'CKA_WRAP_WITH_TRUSTED')).to.equal(expected);
      }
    });

    it('an unwrapped key is never sensitive or unextractable since ever', async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const { wrapped } = await program.wrap(kek, zeroPad, victim);
      const back = await program.unwrap(kek, zeroPad, wrapped, { ...aesKey, CKA_EXTRACTABLE: false });
      for (const name of ['CKA_ALWAYS_SENSITIVE', 'CKA_NEVER_EXTRACTABLE', 'CKA_LOCAL'] as const)
        expect(await program.readBool(back, name), name).to.equal(false);
      expect(
        await codeOf(() => program.unwrap(kek, zeroPad, wrapped, { ...aesKey, CKA_SENSITIVE: false })),
      ).to.equal('CKR_ATTRIBUTE_VALUE_INVALID');
    });
  });

  describe('key injection and conjuring', () => {
    it('encrypting a key of the attacker and unwrapping it works with a key that does both, as on CloudHSM', async () => {
      const both = await tokenAes(flags('CKA_ENCRYPT', 'CKA_UNWRAP'));
      const injected = await program.encrypt(both, cloudhsmGcm, ATTACKERS);
      expect(await codeOf(() => program.unwrap(both, cloudhsmGcm, injected, aesKey))).to.equal('CKR_OK');
      const unwrapsOnly = await tokenAes(flags('CKA_UNWRAP'));
      expect(await codeOf(() => program.encrypt(unwrapsOnly, cloudhsmGcm, ATTACKERS))).to.equal(
        'CKR_KEY_FUNCTION_NOT_PERMITTED',
      );
    });

    it('garbage unwraps to no key', async () => {
      const kek = await tokenAes(flags('CKA_UNWRAP'));
      for (const name of [
        'CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD',
        'CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD',
        'CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD',
      ] as const) {
        for (let round = 0; round < 20; round++) {
          const garbage = Buffer.alloc(40, round);
          expect(await codeOf(() => program.unwrap(kek, mechanism(name), garbage, aesKey))).to.equal(
            'CKR_WRAPPED_KEY_INVALID',
          );
        }
      }
      for (const name of ['CKM_AES_ECB', 'CKM_AES_CBC', 'CKM_AES_CBC_PAD', 'CKM_AES_CTR'] as const) {
        expect(
          await codeOf(() => program.unwrap(kek, mechanism(name), Buffer.alloc(32), aesKey)),
          name,
        ).to.equal('CKR_MECHANISM_INVALID');
      }
    });

    it('a wrapped private key that was altered unwraps to no key', async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const unwrapBy = await program.create({ ...aesKey, CKA_VALUE: ATTACKERS, CKA_UNWRAP: true });
      const iv = Buffer.from('a65959a6', 'hex');
      const wrapOutside = (der: Buffer) => createCipheriv('id-aes256-wrap-pad', ATTACKERS, iv).update(der);
      const der = privateKey.export({ format: 'der', type: 'pkcs8' });
      const key = await program.unwrap(unwrapBy, zeroPad, wrapOutside(der), rsaPrivateKey);
      const { wrapped } = await program.wrap(kek, zeroPad, key);
      wrapped[wrapped.length >> 1]! ^= 1;
      expect(await codeOf(() => program.unwrap(kek, zeroPad, wrapped, rsaPrivateKey))).to.equal(
        'CKR_WRAPPED_KEY_INVALID',
      );
      // Somebody who knows the wrapping key alters a prime: the numbers do not belong together any more.
      der[der.length - 200]! ^= 1;
      expect(await codeOf(() => program.unwrap(unwrapBy, zeroPad, wrapOutside(der), rsaPrivateKey))).to.equal(
        'CKR_WRAPPED_KEY_INVALID',
      );
    });

    it('no mechanism cuts a key short, joins keys or takes them apart', async () => {
      const kek = await tokenAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const { wrapped } = await program.wrap(kek, zeroPad, victim);
      expect(
        await codeOf(() => program.unwrap(kek, zeroPad, wrapped, { ...aesKey, CKA_VALUE_LEN: 16 })),
      ).to.equal('CKR_TEMPLATE_INCONSISTENT');
      const lenient = await Program.start();
      const own = await lenient.generateAes(flags('CKA_WRAP', 'CKA_UNWRAP'));
      const blob = (await lenient.wrap(own, zeroPad, own)).wrapped;
      expect(
        await codeOf(() => lenient.unwrap(own, zeroPad, blob, { ...aesKey, CKA_VALUE_LEN: 16 })),
      ).to.equal('CKR_TEMPLATE_INCONSISTENT');
      lenient.close();
      // CKM_XOR_BASE_AND_DATA, CKM_EXTRACT_KEY_FROM_KEY, CKM_CONCATENATE_BASE_AND_KEY.
      for (const type of [0x364, 0x365, 0x360]) {
        const answer = codeOf(() => program.wrap(kek, { type, parameter: undefined }, victim));
        expect(await answer).to.equal('CKR_MECHANISM_INVALID');
      }
    });
  });

  describe('padding oracles on unwrapping', () => {
    it('every ciphertext that OAEP does not like is answered alike (Manger)', async () => {
      const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const der = privateKey.export({ format: 'der', type: 'pkcs8' });
      const carrier = await program.create({ ...aesKey, CKA_VALUE: ATTACKERS, CKA_UNWRAP: true });
      const iv = Buffer.from('a65959a6', 'hex');
      const wrappedKey = createCipheriv('id-aes256-wrap-pad', ATTACKERS, iv).update(der);
      const rsa = await program.unwrap(carrier, zeroPad, wrappedKey, { ...rsaPrivateKey, CKA_UNWRAP: true });
      const answers = new Set<string>();
      const good = publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, Buffer.alloc(32));
      expect(await codeOf(() => program.unwrap(rsa, rsaOaep, good, aesKey))).to.equal('CKR_OK');
      for (const ciphertext of [
        Buffer.alloc(256),
        Buffer.alloc(256, 0xff),
        Buffer.concat([Buffer.alloc(255), Buffer.from([2])]),
        publicEncrypt({ key: publicKey, oaepHash: 'sha1' }, Buffer.alloc(32)),
        publicEncrypt({ key: publicKey, oaepHash: 'sha256' }, Buffer.alloc(31)),
        publicEncrypt({ key: publicKey, oaepHash: 'sha256', oaepLabel: Buffer.from('x') }, Buffer.alloc(32)),
      ]) {
        answers.add(await codeOf(() => program.unwrap(rsa, rsaOaep, ciphertext, aesKey)));
      }
      expect([...answers]).to.deep.equal(['CKR_WRAPPED_KEY_INVALID']);
    });
  });
});
