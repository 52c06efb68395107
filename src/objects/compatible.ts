import { type AttributeName, CKA } from '../pkcs11/attributes.js';
import type { DeviationId } from './deviations.js';
import type { ObjectKind } from './kinds.js';
import { type Origin, type Rule, rulesFor } from './rules.js';

/**
 * What a template may say although CloudHSM refuses it: which deviation it is when an attribute meets CloudHSM's rule for
 * it. (Reference sections 11.1 and 11.2.)
 */
interface TemplateDeviation {
  readonly deviation: DeviationId;
  readonly attributes: readonly AttributeName[];
  /** CloudHSM's rule; 'none' for attributes that no key has. */
  readonly rule: Rule | 'none';
  /** Only with this value. */
  readonly value?: boolean;
  readonly origins?: readonly Origin[];
  readonly kinds?: readonly ObjectKind[];
}

// biome-ignore format: a table
const rows: readonly TemplateDeviation[] = [
  { deviation: 'private-false', attributes: ['CKA_PRIVATE'], rule: '=', value: false },
  { deviation: 'sensitive-false', attributes: ['CKA_SENSITIVE'], rule: '=', value: false, origins: ['generatePair'] },
  { deviation: 'derived-sensitive-false', attributes: ['CKA_SENSITIVE'], rule: '=', value: false, origins: ['derive'] },
  // "SENSITIVE=FALSE on secret keys: CKR_ATTRIBUTE_VALUE_INVALID although W" (11.2), so on no key.
  { deviation: 'sensitive-false', attributes: ['CKA_SENSITIVE'], rule: 'W', value: false },
  { deviation: 'derive-on-public-key', attributes: ['CKA_DERIVE'], rule: 'W', value: true, kinds: ['rsaPublic', 'ecPublic'] },
  {
    deviation: 'descriptive-attribute',
    attributes: [
      'CKA_START_DATE', 'CKA_END_DATE', 'CKA_SUBJECT', 'CKA_COPYABLE', 'CKA_PUBLIC_KEY_INFO',
    ],
    rule: 'none',
  },
  // No profile has keys that ask for a PIN at each use, or lets a crypto user trust one.
  { deviation: 'descriptive-attribute', attributes: ['CKA_ALWAYS_AUTHENTICATE'], rule: 'none', value: false },
  { deviation: 'flag-without-use', attributes: ['CKA_TRUSTED'], rule: '.', value: false },
  {
    deviation: 'flag-without-use',
    attributes: [
      'CKA_ENCRYPT', 'CKA_DECRYPT', 'CKA_SIGN', 'CKA_VERIFY', 'CKA_WRAP', 'CKA_UNWRAP', 'CKA_DERIVE',
      'CKA_WRAP_WITH_TRUSTED', 'CKA_SENSITIVE', 'CKA_EXTRACTABLE',
    ],
    rule: '.',
  },
  { deviation: 'recover-flag', attributes: ['CKA_SIGN_RECOVER', 'CKA_VERIFY_RECOVER'], rule: '.' },
  // What the key itself says as well, and what it then must be (`requireAsStated` and its like).
  { deviation: 'key-part-repeated', attributes: ['CKA_VALUE_LEN'], rule: '.', origins: ['create', 'unwrap'], kinds: ['aes', 'des3', 'generic'] },
  { deviation: 'key-part-repeated', attributes: ['CKA_EC_POINT'], rule: '.', origins: ['create'], kinds: ['ecPrivate'] },
  { deviation: 'key-part-repeated', attributes: ['CKA_MODULUS_BITS'], rule: '.', origins: ['create'], kinds: ['rsaPrivate', 'rsaPublic'] },
  { deviation: 'key-part-repeated', attributes: ['CKA_EC_PARAMS'], rule: '.', origins: ['generatePair', 'unwrap'], kinds: ['ecPrivate'] },
  {
    deviation: 'key-part-repeated', attributes: ['CKA_PUBLIC_EXPONENT', 'CKA_MODULUS_BITS'], rule: '.',
    origins: ['generatePair', 'unwrap'], kinds: ['rsaPrivate'],
  },
  { deviation: 'key-part-repeated', attributes: ['CKA_MODULUS'], rule: '.', origins: ['unwrap'], kinds: ['rsaPrivate'] },
];

/** Attributes that CloudHSM demands and the standard does not, by what their absence is. */
const optional: readonly (Pick<TemplateDeviation, 'deviation' | 'attributes'> & { origin: Origin })[] = [
  { deviation: 'default-public-exponent', attributes: ['CKA_PUBLIC_EXPONENT'], origin: 'generatePair' },
];

/** Attributes that only the compatible profile gives to keys. */
export const descriptiveAttributes: ReadonlySet<number> = new Set(
  rows
    .filter(({ rule, value }) => rule === 'none' && value === undefined)
    .flatMap(({ attributes }) => attributes.map((name) => CKA[name])),
);

/** What an attribute in a template is when it is a deviation: always, or with one value only. */
export interface AttributeDeviation {
  readonly deviation: DeviationId;
  readonly value: boolean | undefined;
}

export interface TemplateDeviations {
  readonly present: ReadonlyMap<number, AttributeDeviation>;
  readonly absent: ReadonlyMap<number, DeviationId>;
}

/** The deviations that templates for `kind` made by `origin` may hold. */
export function templateDeviations(origin: Origin, kind: ObjectKind): TemplateDeviations {
  if (kind === 'certificate') return { present: new Map(), absent: new Map() };
  const rules = rulesFor(origin, kind);
  const present = rows
    .filter(({ origins, kinds }) => (origins?.includes(origin) ?? true) && (kinds?.includes(kind) ?? true))
    .flatMap(({ deviation, attributes, rule, value }) =>
      attributes
        .filter((name) => (rules.get(CKA[name]) ?? 'none') === rule)
        .map((name) => [CKA[name], { deviation, value }] as const),
    );
  const absent = optional
    .filter((row) => row.origin === origin)
    .flatMap(({ deviation, attributes }) => attributes.map((name) => [CKA[name], deviation] as const));
  return { present: new Map(present), absent: new Map(absent) };
}
