import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { Failure } from '../../src/base/errors.js';
import { templateDeviations } from '../../src/objects/compatible.js';
import { type DeviationId, deviationIds, deviations, type Profile } from '../../src/objects/deviations.js';
import { Gate } from '../../src/objects/gate.js';
import { classOf, keyTypeOf, type ObjectKind } from '../../src/objects/kinds.js';
import { type Origin, rulesFor } from '../../src/objects/rules.js';
import { validateTemplate } from '../../src/objects/template-validator.js';
import { attributeKind, attributeName, CKA, fixedLengths } from '../../src/pkcs11/attributes.js';
import { type Attribute, ulongBytes } from '../../src/pkcs11/template.js';
import { projectRoot } from '../support/engine.js';

const origins: readonly Origin[] = ['generatePair', 'generate', 'create', 'unwrap', 'derive'];
const kinds: readonly ObjectKind[] = [
  'ecPrivate',
  'ecPublic',
  'rsaPrivate',
  'rsaPublic',
  'aes',
  'des3',
  'generic',
];

/** Any value of the right length; FALSE for booleans unless `flag` says otherwise. */
function entry(type: number, flag = false): Attribute {
  const kind = attributeKind(type)!;
  const value = Buffer.alloc(fixedLengths[kind]?.[0] ?? 3);
  if (kind === 'bool') value[0] = Number(flag);
  return { type, value };
}

/** The least a template for `kind` must hold: what the rules demand and what says which kind it is. */
function leastTemplate(origin: Origin, kind: ObjectKind): Attribute[] {
  const identity = new Map<number, number>([
    [CKA.CKA_CLASS, classOf(kind)],
    [CKA.CKA_KEY_TYPE, keyTypeOf(kind)!],
  ]);
  return [...rulesFor(origin, kind)]
    .filter(([, rule]) => rule === '!')
    .map(([type]) => (identity.has(type) ? { type, value: ulongBytes(identity.get(type)!) } : entry(type)));
}

/** What becomes of a template: the deviations that were allowed, or the code of its refusal. */
function outcome(
  origin: Origin,
  kind: ObjectKind,
  template: readonly Attribute[],
  profile: Profile,
): readonly DeviationId[] | string {
  const allowed: DeviationId[] = [];
  const { allow, settle } = new Gate(profile, (id) => allowed.push(id)).allowance('C_Test');
  try {
    validateTemplate(origin, kind, template, allow);
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
  settle();
  return allowed;
}

describe('deviations in templates', () => {
  for (const origin of origins) {
    for (const kind of kinds.filter((each) => rulesFor(origin, each).size > 0)) {
      const least = leastTemplate(origin, kind);
      const { present, absent } = templateDeviations(origin, kind);

      it(`${origin} ${kind}: the least template is none`, () => {
        expect(outcome(origin, kind, least, 'strict')).to.deep.equal([]);
      });

      for (const [type, { deviation, value }] of present) {
        it(`${origin} ${kind}: ${attributeName(type)} ${value ?? ''} is ${deviation}`, () => {
          const template = [...least.filter((each) => each.type !== type), entry(type, value)];
          expect(outcome(origin, kind, template, 'strict')).to.equal(deviations[deviation].answer);
          expect(outcome(origin, kind, template, 'compatible')).to.deep.equal([deviation]);
        });
      }

      for (const [type, deviation] of absent) {
        if (rulesFor(origin, kind).get(type) !== '!') continue;
        it(`${origin} ${kind}: no ${attributeName(type)} is ${deviation}`, () => {
          const template = least.filter((each) => each.type !== type);
          expect(outcome(origin, kind, template, 'strict')).to.equal(deviations[deviation].answer);
          expect(outcome(origin, kind, template, 'compatible')).to.deep.equal([deviation]);
        });
      }

      it(`${origin} ${kind}: what is refused and has no row is refused in both profiles alike`, () => {
        for (const type of Object.values(CKA)) {
          for (const flag of attributeKind(type) === 'bool' ? [false, true] : [false]) {
            const template = [...least.filter((each) => each.type !== type), entry(type, flag)];
            const strict = outcome(origin, kind, template, 'strict');
            const compatible = outcome(origin, kind, template, 'compatible');
            const isRow = Array.isArray(compatible) && compatible.length > 0;
            if (!isRow) expect(compatible, attributeName(type)).to.deep.equal(strict);
          }
        }
      });
    }
  }
});

describe('the gate', () => {
  it('tells the listener of what succeeded, once per cause, and of nothing else', () => {
    const told: string[] = [];
    const gate = new Gate('compatible', (deviation, cause) => told.push(`${deviation} ${cause}`));
    const { allow, settle } = gate.allowance('C_GenerateKey');
    allow('private-false', '');
    allow('private-false', '');
    gate.allowance('C_GenerateKey').allow('sensitive-false', 'and then it failed');
    expect(told).to.deep.equal([]);
    settle();
    gate.allow('copy-object', undefined, 'somebody else reports it');
    expect(told).to.deep.equal(['private-false C_GenerateKey']);
  });

  it('says in a refusal what is wrong, why, and what to do', () => {
    const gate = new Gate('strict', () => undefined);
    expect(() => gate.allow('read-only-session', 'C_OpenSession', 'CKF_RW_SESSION is not set')).to.throw(
      Failure,
      'CKF_RW_SESSION is not set: CloudHSM opens read-write sessions only (read-only-session). Set CKF_RW_SESSION',
    );
  });
});

describe('profiles', () => {
  const source = join(projectRoot, 'src');
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => ({ name, text: readFileSync(join(source, name), 'utf8') }));

  it('make no difference but through the gate', () => {
    // Those that name the profiles, to choose one or to show it; and how strictly the API checks signatures, which is no profile.
    const naming =
      /^(objects\/(deviations|gate)|base\/config|cli\/.*|control-plane\/http\/authorization)\.ts$/;
    const wrong = files.filter(
      ({ name, text }) => !naming.test(name) && /['"`](strict|compatible)['"`]/.test(text),
    );
    expect(
      wrong.map(({ name }) => name),
      'ask the gate for a row of src/objects/deviations.ts',
    ).to.deep.equal([]);
  });

  it('have no row that nothing asks for', () => {
    const asking = files.filter(({ name }) => name !== 'objects/deviations.ts').map(({ text }) => text);
    expect(deviationIds.filter((id) => !asking.some((text) => text.includes(`'${id}'`)))).to.deep.equal([]);
  });
});
