import { expect } from 'chai';
import type { ClusterClient } from '../../src/cluster/cluster-client.js';
import { generateRsaKeyPair } from '../../src/crypto/index.js';
import { rsaMechanisms } from '../../src/mechanisms/rsa.js';
import { templateDeviations } from '../../src/objects/compatible.js';
import type { ObjectKind } from '../../src/objects/kinds.js';
import { nestedTemplateOf } from '../../src/objects/nested-template.js';
import type { ReadResult } from '../../src/objects/reading.js';
import { columns, keyAttributes, type Origin, readRule, rulesFor } from '../../src/objects/rules.js';
import { type AttributeName, CKA } from '../../src/pkcs11/attributes.js';
import type { Attribute } from '../../src/pkcs11/template.js';
import { codeOf } from '../support/codes.js';
import { memoryCluster, PASSWORD } from '../support/in-process.js';
import { makerOf, NO_HANDLE, samples, templateFor } from './cells.js';

const INVALID = 'CKR_ATTRIBUTE_VALUE_INVALID';

/** What CloudHSM answers to an attribute, from its cell. The cells themselves are compared with CloudHSM's document in
 * matrix.test.ts; the exceptions are those of reference section 11.2. */
function strictAnswer(origin: Origin, kind: ObjectKind, name: AttributeName, entry: Attribute): string {
  const listed = keyAttributes.includes(name);
  const rule = rulesFor(origin, kind).get(CKA[name]);
  const on = entry.value[0] === 1;
  // "[seen] START_DATE, END_DATE; rest [guess]: SUBJECT, COPYABLE, …"
  if (!listed) return 'CKR_ATTRIBUTE_TYPE_INVALID';
  switch (rule) {
    case 'R':
      return 'CKR_ATTRIBUTE_READ_ONLY';
    case '=':
      // CKA_SENSITIVE of derived keys is "R" in CloudHSM's document. TRUE is taken all the same, and "CKA_SENSITIVE=false on C_DeriveKey
      // template: CKR_ATTRIBUTE_VALUE_INVALID (0x13)" (native-pkcs11 for Besu, design notes, section 9, Client SDK 5.16 [seen]).
      // The one attribute whose default is not TRUE would be another row here.
      return on ? 'CKR_OK' : INVALID;
    case 'W':
    case '!':
      if (name === 'CKA_SENSITIVE' && !on) return INVALID;
      if (name === 'CKA_TRUSTED' && on) return INVALID;
      if (name === 'CKA_DERIVE' && on && kind.endsWith('Public')) return INVALID;
      return 'CKR_OK';
    default:
      return 'CKR_TEMPLATE_INCONSISTENT';
  }
}

/** What no profile accepts. */
const never = (name: AttributeName, entry: Attribute): boolean =>
  (name === 'CKA_TRUSTED' || name === 'CKA_ALWAYS_AUTHENTICATE') && entry.value[0] === 1;

/** What the compatible profile answers: it accepts what is a deviation. */
function compatibleAnswer(origin: Origin, kind: ObjectKind, name: AttributeName, entry: Attribute): string {
  const deviation = templateDeviations(origin, kind).present.get(CKA[name]);
  const covered = deviation && (deviation.value === undefined || Number(deviation.value) === entry.value[0]);
  if (!covered) return strictAnswer(origin, kind, name, entry);
  return never(name, entry) ? INVALID : 'CKR_OK';
}

/** What was read, as the template had it. */
const shown = (value: ReadResult, { type, nested }: Attribute): unknown =>
  nested && Buffer.isBuffer(value)
    ? { type, value: Buffer.alloc(0), nested: nestedTemplateOf(value) }
    : { type, value };

const attributes = Object.keys(CKA) as AttributeName[];
const origins: readonly Origin[] = ['generatePair', 'generate', 'create', 'unwrap', 'derive'];

describe('every cell of the attribute rules', () => {
  const generation = rsaMechanisms.find(({ generateKeyPair }) => generateKeyPair)!.generateKeyPair!;
  const { generate } = generation;

  // RSA keys take a tenth of a second each: thousands of cells share one.
  before(async () => {
    const pair = await generateRsaKeyPair(2048, Buffer.from([1, 0, 1]));
    Object.assign(generation, {
      generate: () => ({ pkcs8: Buffer.from(pair.pkcs8), spki: Buffer.from(pair.spki) }),
    });
  });

  after(() => {
    Object.assign(generation, { generate });
  });

  for (const [profile, answer] of [
    ['strict', strictAnswer],
    ['compatible', compatibleAnswer],
  ] as const) {
    describe(`in the ${profile} profile`, () => {
      let client: ClusterClient;

      before(async () => {
        const cluster = await memoryCluster({ profile, mode: 'NON_FIPS', keyQuota: 100_000 });
        client = cluster.connect();
        await client.login('crypto_user', PASSWORD);
      });

      for (const origin of origins) {
        for (const kind of columns[origin]) {
          const make = makerOf(origin, kind, profile);
          describe(`${origin} of ${kind}`, () => {
            it('refuses or takes each attribute, and shows what it took', async () => {
              for (const name of attributes) {
                for (const entry of samples(kind, name)) {
                  const what = `${name} ${entry.value.toString('hex').slice(0, 32)}`;
                  const expected = answer(origin, kind, name, entry);
                  let handle = 0;
                  const code = await codeOf(async () => {
                    handle = await make(client, kind, templateFor(origin, kind, [entry]));
                  });
                  expect(code, what).to.equal(expected);
                  if (code !== 'CKR_OK' || handle === NO_HANDLE) continue;
                  const [value] = await client.send('getAttributes', { handle, types: [entry.type] });
                  const readable = readRule(kind, entry.type);
                  // The key itself says it, whatever the template repeats.
                  const repeated =
                    templateDeviations(origin, kind).present.get(entry.type)?.deviation ===
                    'key-part-repeated';
                  if (readable === 'Y' && !repeated) expect(shown(value!, entry), what).to.deep.equal(entry);
                  if (readable === 'S') expect(value, what).to.equal('sensitive');
                  if (readable === '.' && profile === 'strict') expect(value, what).to.equal('unavailable');
                }
              }
            });

            it('demands what it must have', async () => {
              const optional = templateDeviations(origin, kind).absent;
              for (const [type, rule] of rulesFor(origin, kind)) {
                if (rule !== '!') continue;
                const name = attributes.find((candidate) => CKA[candidate] === type)!;
                const accepted = profile === 'compatible' && optional.has(type);
                const code = await codeOf(() => make(client, kind, templateFor(origin, kind, [], name)));
                expect(code, name).to.equal(accepted ? 'CKR_OK' : 'CKR_TEMPLATE_INCOMPLETE');
              }
            });
          });
        }
      }
    });
  }
});
