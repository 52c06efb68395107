import { expect } from 'chai';
import { limits } from '../../src/base/limits.js';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { curveByName } from '../../src/crypto/index.js';
import type { ObjectKind } from '../../src/objects/kinds.js';
import { columns, type Origin, rulesFor } from '../../src/objects/rules.js';
import { type AttributeName, attributeKind, CKA, fixedLengths } from '../../src/pkcs11/attributes.js';
import { CKM } from '../../src/pkcs11/mechanisms.js';
import { type Attribute, attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { makerOf, samples, templateFor } from './cells.js';

const INVALID = 'CKR_ATTRIBUTE_VALUE_INVALID';
const INCONSISTENT = 'CKR_TEMPLATE_INCONSISTENT';
/** What a key that is not there, too short or too long may be called. */
const refusals = [
  INVALID,
  INCONSISTENT,
  'CKR_CURVE_NOT_SUPPORTED',
  'CKR_DOMAIN_PARAMS_INVALID',
  'CKR_KEY_SIZE_RANGE',
  'CKR_TEMPLATE_INCOMPLETE',
];

describe('templates that no program should send', () => {
  let client: ClusterClient;

  before(async () => {
    const cluster = await memoryCluster({ profile: 'strict', mode: 'NON_FIPS', keyQuota: 100_000 });
    client = cluster.connect();
    await client.login('crypto_user', PASSWORD);
  });

  /** The attributes a template for the kind may hold. */
  const settable = (origin: Origin, kind: ObjectKind): AttributeName[] =>
    (Object.keys(CKA) as AttributeName[]).filter((name) =>
      ['W', '!', '='].includes(rulesFor(origin, kind).get(CKA[name]) ?? '.'),
    );

  for (const origin of ['generatePair', 'generate', 'create', 'unwrap', 'derive'] as const) {
    for (const kind of columns[origin]) {
      // RSA pairs take long to make, and have the templates of the others.
      if (origin === 'generatePair' && kind.startsWith('rsa')) continue;
      const make = makerOf(origin, kind, 'strict');
      const attempt = (entries: readonly Attribute[]) =>
        codeOf(() => make(client, kind, templateFor(origin, kind, entries)));

      it(`${origin} ${kind}: an attribute twice is refused, whichever it is`, async () => {
        for (const name of settable(origin, kind)) {
          if (attributeKind(CKA[name]) === 'template') continue;
          const [entry] = samples(kind, name);
          const takes = (await attempt([entry!])) === 'CKR_OK' ? entry! : samples(kind, name).at(-1)!;
          expect(await attempt([takes, takes]), name).to.equal(INCONSISTENT);
        }
      });

      it(`${origin} ${kind}: a value of another length than its kind has is refused`, async () => {
        for (const name of settable(origin, kind)) {
          const lengths = fixedLengths[attributeKind(CKA[name])!];
          if (lengths === undefined) continue;
          for (const lengthBytes of [0, 1, 2, 4, 7, 8, 9, 64]) {
            if ((lengths as readonly number[]).includes(lengthBytes)) continue;
            // A CK_ULONG of four bytes is what Windows has: on Linux it is a mistake (reference section 6).
            const entry = { type: CKA[name], value: Buffer.alloc(lengthBytes, 1) };
            expect(await attempt([entry]), `${name} of ${lengthBytes} bytes`).to.equal(INVALID);
          }
        }
      });

      it(`${origin} ${kind}: no value of any length does harm`, async () => {
        for (const name of settable(origin, kind)) {
          if (
            fixedLengths[attributeKind(CKA[name])!] !== undefined ||
            attributeKind(CKA[name]) === 'template'
          )
            continue;
          for (const lengthBytes of [0, 1, 1000, 100_000, limits.attributeBytes]) {
            const entry = { type: CKA[name], value: Buffer.alloc(lengthBytes, 0xff) };
            const what = `${name} of ${lengthBytes} bytes`;
            expect(await attempt([entry]), what).to.be.oneOf(['CKR_OK', ...refusals]);
          }
        }
      });
    }
  }

  it('a label has 127 characters at most, and may have none', async () => {
    const make = makerOf('generate', 'aes', 'strict');
    const label = (text: string) =>
      codeOf(() => make(client, 'aes', templateFor('generate', 'aes', [attribute(CKA.CKA_LABEL, text)])));
    expect(await label('')).to.equal('CKR_OK');
    expect(await label('ä'.repeat(127))).to.equal('CKR_OK');
    expect(await label('ä'.repeat(128))).to.equal(INVALID);
  });
});

describe('templates that say what the key is not', () => {
  const rsa = [
    attribute(CKA.CKA_MODULUS_BITS, 2048),
    attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([1, 0, 1])),
  ];
  const ec = [attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveByName('P-256').oid))];
  const rsaGeneration = CKM.CKM_RSA_PKCS_KEY_PAIR_GEN;
  const ecGeneration = CKM.CKM_EC_KEY_PAIR_GEN;
  let client: ClusterClient;

  before(async () => {
    client = (await memoryCluster({ profile: 'compatible' })).connect();
    await client.login('crypto_user', PASSWORD);
  });

  const attempt = (mechanism: number, publicTemplate: Attribute[], privateTemplate: Attribute[]) =>
    codeOf(() => client.generateKeyPair(mechanism, publicTemplate, privateTemplate));

  // Repeating in the private template what the public one says is a deviation that many programs need; contradicting it
  // is a template that "is inconsistent" (v2.40 base, section 4.1.1).
  it('are refused, in the compatible profile too', async () => {
    expect(await attempt(rsaGeneration, rsa, rsa)).to.equal('CKR_OK');
    expect(await attempt(ecGeneration, ec, ec)).to.equal('CKR_OK');
    const otherCurve = attribute(CKA.CKA_EC_PARAMS, Buffer.from(curveByName('P-384').oid));
    expect(await attempt(ecGeneration, ec, [otherCurve])).to.equal(INCONSISTENT);
    for (const other of [
      attribute(CKA.CKA_MODULUS_BITS, 4096),
      attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([3])),
      attribute(CKA.CKA_MODULUS, Buffer.alloc(256, 0xff)),
    ])
      expect(await attempt(rsaGeneration, rsa, [other])).to.equal(INCONSISTENT);
  });

  for (const [origin, kind] of [
    ['create', 'rsaPublic'],
    ['create', 'rsaPrivate'],
    ['unwrap', 'rsaPrivate'],
  ] as const)
    it(`${origin} ${kind}: so is another length than that of the key`, async () => {
      const make = makerOf(origin, kind, 'compatible');
      for (const [bits, answer] of [
        [2048, 'CKR_OK'],
        [4096, INCONSISTENT],
      ] as const) {
        const template = templateFor(origin, kind, [attribute(CKA.CKA_MODULUS_BITS, bits)]);
        expect(await codeOf(() => make(client, kind, template)), `${bits}`).to.equal(answer);
      }
    });

  it('may have zeros in front of a number', async () => {
    const exponent = attribute(CKA.CKA_PUBLIC_EXPONENT, Buffer.from([0, 1, 0, 1]));
    expect(await attempt(rsaGeneration, [rsa[0]!, exponent], [exponent])).to.equal('CKR_OK');
  });
});
