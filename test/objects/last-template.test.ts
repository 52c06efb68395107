import { expect } from 'chai';
import { Failure } from '../../src/base/errors.js';
import type { DeviationId } from '../../src/objects/deviations.js';
import type { Allow } from '../../src/objects/gate.js';
import { LastTemplate } from '../../src/objects/last-template.js';
import { type Attributes, validateTemplate } from '../../src/objects/template-validator.js';
import { CKA } from '../../src/pkcs11/attributes.js';
import type { Attribute, Template } from '../../src/pkcs11/template.js';
import { template } from '../support/program.js';
import { seeded } from '../support/seeded.js';

/** What comes of a template: attributes, or a code, and what the gate was asked. */
function outcomeOf(make: (allow: Allow) => Attributes): unknown {
  const asked: DeviationId[] = [];
  try {
    return { attributes: [...make((deviation) => asked.push(deviation))], asked };
  } catch (error) {
    if (error instanceof Failure) return { code: error.code, asked };
    throw error;
  }
}

const fresh = (of: Template) => (allow: Allow) => validateTemplate('generate', 'aes', of, allow);

/** Values that a program may give an attribute: right, wrong, and right in another way. */
const entries: readonly Attribute[] = [
  ...template({ CKA_VALUE_LEN: 16, CKA_LABEL: 'one', CKA_ID: 'one', CKA_TOKEN: false, CKA_ENCRYPT: true }),
  ...template({ CKA_VALUE_LEN: 32, CKA_LABEL: 'two', CKA_ID: '', CKA_TOKEN: true, CKA_PRIVATE: false }),
  ...template({ CKA_LABEL: 'x'.repeat(200), CKA_TRUSTED: true, CKA_MODULUS_BITS: 5, CKA_LOCAL: true }),
  { type: CKA.CKA_ENCRYPT, value: Buffer.from([2]) },
  { type: CKA.CKA_VALUE_LEN, value: Buffer.from([16]) },
  { type: CKA.CKA_WRAP_TEMPLATE, value: Buffer.alloc(0), nested: template({ CKA_LABEL: 'wrapped' }) },
  { type: CKA.CKA_WRAP_TEMPLATE, value: Buffer.alloc(0), nested: template({ CKA_LABEL: 'else' }) },
];

describe('the template that came last', () => {
  it('comes to what it would come to by itself, whatever came before', () => {
    const last = new LastTemplate();
    const number = seeded(11);
    const some = (): Template => {
      const [length, ...chosen] = entries.filter(() => number(4) === 0);
      return length === undefined ? [entries[0]!] : [entries[0]!, length, ...chosen].slice(number(2));
    };
    let current = some();
    let isAccepted = 0;
    for (let round = 0; round < 20_000; round++) {
      const what = number(4);
      if (what === 0) current = some();
      if (what === 1) current = [...current].reverse();
      // What came is overwritten when it has been seen to.
      const sent = current.map((entry) => ({ ...entry, value: Buffer.from(entry.value) }));
      const outcome = outcomeOf((allow) => last.attributes(sent, allow, (asked) => fresh(sent)(asked)));
      expect(outcome).to.deep.equal(outcomeOf(fresh(current)));
      if ('attributes' in (outcome as object)) isAccepted++;
      for (const { value } of sent) value.fill(0xff);
    }
    expect(isAccepted).to.be.greaterThan(1000);
  });

  it('is not looked at again word for word', () => {
    const last = new LastTemplate();
    const repeated = template({ CKA_VALUE_LEN: 16, CKA_LABEL: 'one' });
    let looks = 0;
    const make = (of: Template) =>
      last.attributes(
        of,
        () => undefined,
        (asked) => {
          looks++;
          return fresh(of)(asked);
        },
      );
    const first = make(repeated);
    expect(make(template({ CKA_VALUE_LEN: 16, CKA_LABEL: 'one' }))).to.equal(first);
    expect(looks).to.equal(1);
    make(template({ CKA_VALUE_LEN: 16, CKA_LABEL: 'two' }));
    expect(looks).to.equal(2);
  });
});
