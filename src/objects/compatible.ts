import { type AttributeName, CKA } from '../pkcs11/attributes.js';
import type { ObjectKind } from './kinds.js';
import type { Origin, Rule } from './rules.js';

/**
 * Where the `compatible` profile accepts in a template what CloudHSM refuses. Each row names the attributes, what
 * CloudHSM's rule says and what ours becomes. (Reference sections 11.1 and 11.2 for the left side; which programs
 * need it is said beside the row.)
 */
interface Relaxation {
  readonly attributes: readonly AttributeName[] | 'any';
  readonly from: Rule;
  readonly to: Rule;
  readonly origins?: readonly Origin[];
}

const relaxations: readonly Relaxation[] = [
  // pkcs11-tool, OpenSSL's engine and Java make public keys with CKA_PRIVATE FALSE and keys that are not sensitive.
  { attributes: 'any', from: '=', to: 'W' },
  { attributes: ['CKA_SENSITIVE'], from: 'R', to: 'W', origins: ['derive'] },
  // Standard usage flags and dates on keys that have no use for them: kept, and without effect.
  {
    attributes: [
      'CKA_ENCRYPT',
      'CKA_DECRYPT',
      'CKA_SIGN',
      'CKA_VERIFY',
      'CKA_SIGN_RECOVER',
      'CKA_VERIFY_RECOVER',
      'CKA_WRAP',
      'CKA_UNWRAP',
      'CKA_DERIVE',
      'CKA_TRUSTED',
      'CKA_WRAP_WITH_TRUSTED',
      'CKA_SENSITIVE',
      'CKA_EXTRACTABLE',
      'CKA_START_DATE',
      'CKA_END_DATE',
      'CKA_SUBJECT',
      'CKA_COPYABLE',
      'CKA_ALWAYS_AUTHENTICATE',
      'CKA_PUBLIC_KEY_INFO',
    ],
    from: '.',
    to: 'W',
  },
  // GnuTLS and Java repeat in the private template, or on import, what the key itself says.
  {
    attributes: ['CKA_VALUE_LEN', 'CKA_EC_PARAMS', 'CKA_EC_POINT', 'CKA_MODULUS_BITS'],
    from: '.',
    to: 'W',
    origins: ['create'],
  },
  {
    attributes: ['CKA_EC_PARAMS', 'CKA_MODULUS', 'CKA_PUBLIC_EXPONENT', 'CKA_MODULUS_BITS'],
    from: '.',
    to: 'W',
    origins: ['generatePair', 'unwrap'],
  },
  // The standard lets the token choose 65537 (v2.40 mechanisms, 2.1.2).
  { attributes: ['CKA_PUBLIC_EXPONENT'], from: '!', to: 'W', origins: ['generatePair'] },
];

const relaxed = new Map<string, Relaxation[]>();
for (const relaxation of relaxations) {
  const types =
    relaxation.attributes === 'any' ? Object.values(CKA) : relaxation.attributes.map((name) => CKA[name]);
  for (const type of types) {
    const key = `${type} ${relaxation.from}`;
    relaxed.set(key, [...(relaxed.get(key) ?? []), relaxation]);
  }
}

/** The rule of the `compatible` profile where CloudHSM's is `rule`. */
export function compatibleRule(origin: Origin, kind: ObjectKind, type: number, rule: Rule): Rule {
  if (kind === 'certificate') return rule;
  const row = relaxed
    .get(`${type} ${rule}`)
    ?.find((relaxation) => relaxation.origins === undefined || relaxation.origins.includes(origin));
  return row?.to ?? rule;
}
