import { expect } from 'chai';
import { rsaPrivateComponents } from '../../src/crypto/index.js';
import { hashRows } from '../../src/mechanisms/hashes.js';
import type { Mechanism } from '../../src/pkcs11/layouts.js';
import { codeOf } from '../support/codes.js';
import { aesKey, flags, genericKey, mechanism, oaep, Program, rsaPrivateKey } from '../support/program.js';
import { bytesOf, hashOf, type VectorGroup, type VectorTest, vectors } from '../support/wycheproof.js';

/** Vectors that CloudHSM answers otherwise than their result says: why, which, and how many there must be. */
interface Exception {
  readonly file: string;
  readonly why: string;
  readonly applies: (test: VectorTest) => boolean;
  readonly count: number;
}

const hasFlag =
  (flag: string) =>
  ({ flags: all }: VectorTest): boolean =>
    all.includes(flag);

const exceptions: readonly Exception[] = [
  {
    file: 'aes_wrap_test.json',
    why: 'RFC 3394 has no keys of one semiblock; Wycheproof leaves it open',
    applies: ({ result, flags: all }) => result === 'acceptable' && all.includes('ShortKey'),
    count: 3,
  },
  {
    file: 'rsa_oaep_2048_sha1_mgf1sha1_test.json',
    why: 'CloudHSM takes no OAEP label (reference 9.6)',
    applies: hasFlag('EncryptionWithLabel'),
    count: 7,
  },
  {
    file: 'rsa_oaep_2048_sha256_mgf1sha256_test.json',
    why: 'CloudHSM takes no OAEP label (reference 9.6)',
    applies: hasFlag('EncryptionWithLabel'),
    count: 8,
  },
  ...['rsa_oaep_2048_sha1_mgf1sha1_test.json', 'rsa_oaep_2048_sha256_mgf1sha256_test.json'].map((file) => ({
    file,
    why: 'a key has at least one byte',
    applies: ({ msg, result }: VectorTest) => msg === '' && result === 'valid',
    count: 1,
  })),
];

const refusals = ['CKR_WRAPPED_KEY_INVALID', 'CKR_WRAPPED_KEY_LEN_RANGE'];

describe('Wycheproof through C_CreateObject, C_UnwrapKey and C_WrapKey', () => {
  let program: Program;
  const excepted = new Map<Exception, number>();

  before(async () => {
    program = await Program.start();
  });

  after(() => program.close());

  /** Unwraps one vector and compares what comes out, and what wrapping it again gives. */
  async function check(
    file: string,
    test: VectorTest,
    keys: { unwrapping: number; wrapping?: number },
    how: Mechanism,
  ): Promise<void> {
    const [message, wrapped] = [bytesOf(test, 'msg'), bytesOf(test, 'ct')];
    const unwrap = () =>
      program.unwrap(keys.unwrapping, how, wrapped, { ...genericKey, CKA_SENSITIVE: false });
    const exception = exceptions.find((one) => one.file === file && one.applies(test));
    if (exception !== undefined) excepted.set(exception, (excepted.get(exception) ?? 0) + 1);
    if (exception !== undefined || test.result === 'invalid') {
      const expected = exception ? [...refusals, 'CKR_MECHANISM_PARAM_INVALID'] : refusals;
      expect(await codeOf(unwrap)).to.be.oneOf(expected);
      return;
    }
    const key = await unwrap();
    expect(await program.read(key, 'CKA_VALUE')).to.deep.equal(message);
    if (keys.wrapping !== undefined)
      expect((await program.wrap(keys.wrapping, how, key)).wrapped).to.deep.equal(wrapped);
    await program.call('C_DestroyObject', { hObject: key });
  }

  for (const [file, name] of [
    ['aes_wrap_test.json', 'CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD'],
    ['aes_kwp_test.json', 'CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD'],
  ] as const) {
    vectors(file, async (test) => {
      const kek = await program.create({
        ...aesKey,
        CKA_VALUE: bytesOf(test, 'key'),
        ...flags('CKA_WRAP', 'CKA_UNWRAP'),
      });
      await check(file, test, { unwrapping: kek, wrapping: kek }, mechanism(name));
      await program.call('C_DestroyObject', { hObject: kek });
    });
  }

  const privateKeys = new Map<VectorGroup, Promise<number>>();
  const privateKeyOf = (group: VectorGroup): Promise<number> => {
    const parts = rsaPrivateComponents(bytesOf(group, 'privateKeyPkcs8'));
    return program.create({
      ...rsaPrivateKey,
      CKA_MODULUS: parts.modulus,
      CKA_PUBLIC_EXPONENT: parts.publicExponent,
      CKA_PRIVATE_EXPONENT: parts.privateExponent,
      CKA_UNWRAP: true,
    });
  };

  for (const file of ['rsa_oaep_2048_sha1_mgf1sha1_test.json', 'rsa_oaep_2048_sha256_mgf1sha256_test.json']) {
    vectors(file, async (test, group) => {
      if (!privateKeys.has(group)) privateKeys.set(group, privateKeyOf(group));
      const unwrapping = await privateKeys.get(group)!;
      const row = hashRows.find(({ hash }) => hash === hashOf(group['sha']))!;
      const parameter = {
        ...oaep,
        hashAlg: row.digest,
        mgf: row.mgf,
        pSourceData: bytesOf(test, 'label'),
        sourceGiven: false,
      };
      await check(file, test, { unwrapping }, mechanism('CKM_RSA_PKCS_OAEP', parameter));
    });
  }

  it('makes the exceptions that are named, and no others', function () {
    if (excepted.size === 0) this.skip();
    for (const exception of exceptions)
      expect(excepted.get(exception), `${exception.file}: ${exception.why}`).to.equal(exception.count);
  });
});
