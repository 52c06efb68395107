import { createPrivateKey, createPublicKey, generateKeyPairSync, verify as nodeVerify } from 'node:crypto';
import { expect } from 'chai';
import pkcs11js from 'pkcs11js';
import { CKA } from '../../src/pkcs11/attributes.js';
import { CKR } from '../../src/pkcs11/ckr.js';
import type { TestEngine } from '../support/engine.js';
import { attribute, curveOids, generateAes, generateEc, generateRsa, importSecret } from '../support/keys.js';
import { expectCkr, type TestModule, useModule } from '../support/module.js';

const { CKO_PRIVATE_KEY, CKO_PUBLIC_KEY, CKO_SECRET_KEY, CKO_CERTIFICATE, CKK_RSA, CKK_EC, CKK_AES } =
  pkcs11js;

describe('objects', () => {
  let engine: TestEngine;
  let module: TestModule;
  let session: Buffer;

  useModule((opened) => {
    ({ engine, module, session } = opened);
  });

  const find = (template: pkcs11js.Template, on = session): Buffer[] => {
    module.p11.C_FindObjectsInit(on, template);
    const found: Buffer[] = [];
    for (
      let batch = module.p11.C_FindObjects(on, 25);
      batch.length > 0;
      batch = module.p11.C_FindObjects(on, 25)
    ) {
      found.push(...batch);
    }
    module.p11.C_FindObjectsFinal(on);
    return found;
  };
  const labelled = (label: string, token = false): pkcs11js.Template => [
    { type: CKA.CKA_LABEL, value: label },
    { type: CKA.CKA_TOKEN, value: token },
  ];

  it('are found by any of their attributes, exactly, and no longer once destroyed', () => {
    const keys = ['a', 'a', 'b'].map((label) => generateAes(module, session, 32, labelled(`find-${label}`)));
    expect(find([{ type: CKA.CKA_LABEL, value: 'find-a' }])).to.deep.equal(keys.slice(0, 2));
    expect(find([{ type: CKA.CKA_LABEL, value: 'find-' }])).to.deep.equal([]);
    expect(
      find([
        { type: CKA.CKA_LABEL, value: 'find-a' },
        { type: CKA.CKA_CLASS, value: CKO_PRIVATE_KEY },
      ]),
    ).to.deep.equal([]);
    module.p11.C_DestroyObject(session, keys[0]!);
    expect(find([{ type: CKA.CKA_LABEL, value: 'find-a' }])).to.deep.equal([keys[1]]);
    expectCkr(CKR.CKR_OBJECT_HANDLE_INVALID, () => module.p11.C_DestroyObject(session, keys[0]!));
  });

  it('of a key type that CloudHSM has not are refused for it, whatever the mechanism: crypto11 goes on to the next', () => {
    const CKK_SHA_1_HMAC = 0x28;
    const hmacOf = (mechanism: number, keyType: number): Buffer =>
      module.p11.C_GenerateKey(session, { mechanism }, [
        { type: CKA.CKA_KEY_TYPE, value: keyType },
        { type: CKA.CKA_VALUE_LEN, value: 32 },
      ]);
    const nShieldKeyGeneration = 0xde436973;
    const { CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET } = pkcs11js;
    for (const mechanism of [nShieldKeyGeneration, CKM_GENERIC_SECRET_KEY_GEN]) {
      expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () => hmacOf(mechanism, CKK_SHA_1_HMAC));
    }
    expectCkr(CKR.CKR_MECHANISM_INVALID, () => hmacOf(nShieldKeyGeneration, CKK_GENERIC_SECRET));
    expectCkr(CKR.CKR_TEMPLATE_INCONSISTENT, () => hmacOf(CKM_GENERIC_SECRET_KEY_GEN, CKK_AES));
    module.p11.C_DestroyObject(session, hmacOf(CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET));
  });

  it('are listed in batches until nothing is left', () => {
    for (let count = 0; count < 60; count++) generateAes(module, session, 16, labelled('batch'));
    const all = find([{ type: CKA.CKA_LABEL, value: 'batch' }]);
    expect(all).to.have.length(60);
    expect(new Set(all.map((handle) => handle.toString('hex'))).size).to.equal(60);
  });

  it('have the attributes of an RSA pair', () => {
    const pair = generateRsa(module, session, 2048, [{ type: CKA.CKA_ID, value: Buffer.from([7]) }]);
    const modulus = attribute(module, session, pair.publicKey, CKA.CKA_MODULUS);
    expect(modulus).to.have.length(256);
    expect(attribute(module, session, pair.privateKey, CKA.CKA_MODULUS)).to.deep.equal(modulus);
    expect(attribute(module, session, pair.publicKey, CKA.CKA_MODULUS_BITS).readUInt32LE()).to.equal(2048);
    expect(attribute(module, session, pair.privateKey, CKA.CKA_SENSITIVE)).to.deep.equal(Buffer.from([1]));
    expect(attribute(module, session, pair.privateKey, CKA.CKA_LOCAL)).to.deep.equal(Buffer.from([1]));
    expect(find([{ type: CKA.CKA_MODULUS, value: modulus }])).to.deep.equal([
      pair.publicKey,
      pair.privateKey,
    ]);
  });

  it('never reveal a sensitive key, whole or in part', () => {
    const pair = generateRsa(module, session);
    const read = (key: Buffer, type: number) => () =>
      module.p11.C_GetAttributeValue(session, key, [{ type }]);
    for (const type of [CKA.CKA_PRIVATE_EXPONENT, CKA.CKA_PRIME_1, CKA.CKA_PRIME_2, CKA.CKA_COEFFICIENT]) {
      expectCkr(CKR.CKR_ATTRIBUTE_SENSITIVE, read(pair.privateKey, type));
    }
    expectCkr(CKR.CKR_ATTRIBUTE_SENSITIVE, read(generateEc(module, session).privateKey, CKA.CKA_VALUE));
    expectCkr(CKR.CKR_ATTRIBUTE_SENSITIVE, read(generateAes(module, session), CKA.CKA_VALUE));
    const extractable = { type: CKA.CKA_EXTRACTABLE, value: false };
    const open = { type: CKA.CKA_SENSITIVE, value: false };
    expectCkr(
      CKR.CKR_ATTRIBUTE_SENSITIVE,
      read(generateAes(module, session, 32, [open, extractable]), CKA.CKA_VALUE),
    );
    expect(
      attribute(module, session, generateAes(module, session, 32, [open]), CKA.CKA_VALUE),
    ).to.have.length(32);
  });

  // client-behaviours row 12.
  for (const [form, wrap] of [
    ['raw', (point: Buffer) => point],
    ['DER', (point: Buffer) => Buffer.concat([Buffer.from([4, point.length]), point])],
  ] as const) {
    it(`take an EC public key with a ${form} point and return the DER form`, () => {
      const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const point = publicKey.export({ format: 'der', type: 'spki' }).subarray(-65);
      const object = module.p11.C_CreateObject(session, [
        { type: CKA.CKA_CLASS, value: CKO_PUBLIC_KEY },
        { type: CKA.CKA_KEY_TYPE, value: CKK_EC },
        { type: CKA.CKA_EC_PARAMS, value: Buffer.from(curveOids['P-256'], 'hex') },
        { type: CKA.CKA_EC_POINT, value: wrap(point) },
        { type: CKA.CKA_VERIFY, value: true },
      ]);
      const expected = Buffer.concat([Buffer.from([4, 65]), point]);
      expect(attribute(module, session, object, CKA.CKA_EC_POINT)).to.deep.equal(expected);
    });
  }

  it('take private keys, which then sign; and refuse unsound ones', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const jwk = createPrivateKey(privateKey.export({ format: 'pem', type: 'pkcs8' })).export({
      format: 'jwk',
    });
    const part = (name: 'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi'): Buffer =>
      Buffer.from(jwk[name]!, 'base64url');
    const template = (privateExponent: Buffer): pkcs11js.Template => [
      { type: CKA.CKA_CLASS, value: CKO_PRIVATE_KEY },
      { type: CKA.CKA_KEY_TYPE, value: CKK_RSA },
      { type: CKA.CKA_SIGN, value: true },
      { type: CKA.CKA_MODULUS, value: part('n') },
      { type: CKA.CKA_PUBLIC_EXPONENT, value: part('e') },
      { type: CKA.CKA_PRIVATE_EXPONENT, value: privateExponent },
    ];
    const crt: pkcs11js.Template = [
      { type: CKA.CKA_PRIME_1, value: part('p') },
      { type: CKA.CKA_PRIME_2, value: part('q') },
      { type: CKA.CKA_EXPONENT_1, value: part('dp') },
      { type: CKA.CKA_EXPONENT_2, value: part('dq') },
      { type: CKA.CKA_COEFFICIENT, value: part('qi') },
    ];
    // Numbers may begin with zeros, as those in ASN.1 do.
    const padded = [...template(part('d')), ...crt].map(({ type, value }) =>
      Buffer.isBuffer(value) && type !== CKA.CKA_CLASS && type !== CKA.CKA_KEY_TYPE
        ? { type, value: Buffer.concat([Buffer.alloc(type === CKA.CKA_MODULUS ? 1 : 3), value]) }
        : { type, value },
    );
    for (const parts of [template(part('d')), [...template(part('d')), ...crt], padded]) {
      const key = module.p11.C_CreateObject(session, parts);
      module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_SHA256_RSA_PKCS }, key);
      const signature = module.p11.C_Sign(session, Buffer.from('data'), Buffer.alloc(256));
      expect(
        nodeVerify(
          'sha256',
          Buffer.from('data'),
          createPublicKey(publicKey.export({ format: 'pem', type: 'spki' })),
          signature,
        ),
      ).to.equal(true);
      expect(attribute(module, session, key, CKA.CKA_LOCAL)).to.deep.equal(Buffer.from([0]));
    }
    expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () =>
      module.p11.C_CreateObject(session, template(Buffer.alloc(256, 3))),
    );
  });

  it('read several attributes at once: the bad one has no length, the others are filled (row 9)', () => {
    const key = generateAes(module, session, 32, [
      { type: CKA.CKA_ID, value: Buffer.from('id') },
      ...labelled('three'),
    ]);
    const read = (): void => {
      module.p11.C_GetAttributeValue(session, key, [
        { type: CKA.CKA_LABEL },
        { type: CKA.CKA_MODULUS },
        { type: CKA.CKA_ID },
      ]);
    };
    expectCkr(CKR.CKR_ATTRIBUTE_TYPE_INVALID, read);
  });

  it('brought along have the sizes that the HSM has', () => {
    const create = (keyType: number, value: Buffer) => () => importSecret(module, session, keyType, value);
    for (const lengthBytes of [1, 17, 33]) {
      expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, create(CKK_AES, Buffer.alloc(lengthBytes, 1)));
    }
    for (const lengthBytes of [0, 801]) {
      expectCkr(
        CKR.CKR_ATTRIBUTE_VALUE_INVALID,
        create(pkcs11js.CKK_GENERIC_SECRET, Buffer.alloc(lengthBytes, 1)),
      );
    }
    for (const modulusBytes of [64, 128, 2048]) {
      expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, () =>
        module.p11.C_CreateObject(session, [
          { type: CKA.CKA_CLASS, value: CKO_PUBLIC_KEY },
          { type: CKA.CKA_KEY_TYPE, value: CKK_RSA },
          { type: CKA.CKA_MODULUS, value: Buffer.alloc(modulusBytes, 0xff) },
          { type: CKA.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
        ]),
      );
    }
  });

  describe('templates', () => {
    const generate = (template: pkcs11js.Template) => () =>
      module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, template);
    const length = { type: CKA.CKA_VALUE_LEN, value: 32 };

    for (const [what, code, template] of [
      ['without a mandatory attribute', CKR.CKR_TEMPLATE_INCOMPLETE, []],
      [
        'with an attribute of another kind of object',
        CKR.CKR_TEMPLATE_INCONSISTENT,
        [length, { type: CKA.CKA_MODULUS, value: Buffer.alloc(1) }],
      ],
      [
        'with what only the HSM sets',
        CKR.CKR_ATTRIBUTE_READ_ONLY,
        [length, { type: CKA.CKA_LOCAL, value: true }],
      ],
      [
        'with an attribute nobody knows',
        CKR.CKR_ATTRIBUTE_TYPE_INVALID,
        [length, { type: 0x7fff0001, value: true }],
      ],
      [
        'with a boolean of two bytes',
        CKR.CKR_ATTRIBUTE_VALUE_INVALID,
        [length, { type: CKA.CKA_ENCRYPT, value: Buffer.alloc(2) }],
      ],
      ['with the same attribute twice', CKR.CKR_TEMPLATE_INCONSISTENT, [length, length]],
      [
        'with a size that is none of AES',
        CKR.CKR_ATTRIBUTE_VALUE_INVALID,
        [{ type: CKA.CKA_VALUE_LEN, value: 20 }],
      ],
      [
        'with another class',
        CKR.CKR_TEMPLATE_INCONSISTENT,
        [length, { type: CKA.CKA_CLASS, value: CKO_PUBLIC_KEY }],
      ],
      [
        'that makes a key trusted',
        CKR.CKR_ATTRIBUTE_VALUE_INVALID,
        [length, { type: CKA.CKA_TRUSTED, value: true }],
      ],
    ] as [string, number, pkcs11js.Template][]) {
      it(`are refused ${what}, and nothing is created`, () => {
        const before = find([{ type: CKA.CKA_CLASS, value: CKO_SECRET_KEY }]).length;
        expectCkr(code, generate(template));
        expect(find([{ type: CKA.CKA_CLASS, value: CKO_SECRET_KEY }])).to.have.length(before);
      });
    }

    for (const [what, bits, exponent] of [
      ['a modulus of 1024 bits', 1024, [1, 0, 1]],
      ['a modulus of 2049 bits', 2049, [1, 0, 1]],
      ['a modulus of 8192 bits', 8192, [1, 0, 1]],
      ['the exponent 3', 2048, [3]],
      ['an even exponent', 2048, [1, 0, 0, 2]],
    ] as const) {
      it(`are refused with ${what}`, () => {
        const generatePair = () =>
          module.p11.C_GenerateKeyPair(
            session,
            { mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN },
            [
              { type: CKA.CKA_MODULUS_BITS, value: bits },
              { type: CKA.CKA_PUBLIC_EXPONENT, value: Buffer.from(exponent) },
            ],
            [],
          );
        expectCkr(CKR.CKR_ATTRIBUTE_VALUE_INVALID, generatePair);
      });
    }

    it('are refused with a curve CloudHSM lacks', () => {
      const brainpool = Buffer.from('06092b2403030208010107', 'hex');
      const generatePair = () =>
        module.p11.C_GenerateKeyPair(
          session,
          { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
          [{ type: CKA.CKA_EC_PARAMS, value: brainpool }],
          [],
        );
      expectCkr(CKR.CKR_CURVE_NOT_SUPPORTED, generatePair);
    });
  });

  it('that are certificates are stored, found and read back', () => {
    const value = Buffer.from('3003020101', 'hex');
    const certificate = module.p11.C_CreateObject(session, [
      { type: CKA.CKA_CLASS, value: CKO_CERTIFICATE },
      { type: CKA.CKA_CERTIFICATE_TYPE, value: 0 },
      { type: CKA.CKA_SUBJECT, value: Buffer.from('3000', 'hex') },
      { type: CKA.CKA_VALUE, value },
      ...labelled('cert', true),
    ]);
    expect(find([{ type: CKA.CKA_CLASS, value: CKO_CERTIFICATE }])).to.deep.equal([certificate]);
    expect(attribute(module, session, certificate, CKA.CKA_VALUE)).to.deep.equal(value);
    expectCkr(CKR.CKR_KEY_HANDLE_INVALID, () =>
      module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, certificate),
    );
  });

  it('of a session end with it, and are used by all sessions until then', () => {
    const other = module.openSession();
    const pair = generateEc(module, other);
    module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, pair.privateKey);
    expect(module.p11.C_Sign(session, Buffer.alloc(32, 1), Buffer.alloc(64))).to.have.length(64);
    module.p11.C_CloseSession(other);
    expectCkr(CKR.CKR_KEY_HANDLE_INVALID, () =>
      module.p11.C_SignInit(session, { mechanism: pkcs11js.CKM_ECDSA }, pair.privateKey),
    );
  });

  it('are invisible before login, and asking is no error (row 8)', () => {
    generateAes(module, session, 32, labelled('hidden', true));
    module.p11.C_Logout(session);
    expect(find([{ type: CKA.CKA_LABEL, value: 'hidden' }])).to.deep.equal([]);
    expectCkr(CKR.CKR_USER_NOT_LOGGED_IN, () => generateAes(module, session));
    module.p11.C_Login(session, pkcs11js.CKU_USER, engine.pin);
    expect(find([{ type: CKA.CKA_LABEL, value: 'hidden' }])).to.have.length(1);
  });

  it('of the token outlive logout and sessions; those of the session do not', () => {
    const token = generateAes(module, session, 32, labelled('stays', true));
    const gone = importSecret(module, session, CKK_AES, Buffer.alloc(16, 1));
    module.p11.C_CloseAllSessions(module.slot);
    session = module.openLoggedIn();
    expect(find([{ type: CKA.CKA_LABEL, value: 'stays' }])).to.deep.equal([token]);
    expectCkr(CKR.CKR_OBJECT_HANDLE_INVALID, () => attribute(module, session, gone, CKA.CKA_CLASS));
  });
});
