import { attributeKind, attributeName, CKA, fixedLengths } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKC, CKO } from '../pkcs11/constants.js';
import {
  type Attribute,
  boolBytes,
  findAttribute,
  keptUlong,
  sharedUlongBytes,
  type Template,
  ulongOf,
} from '../pkcs11/template.js';
import { type TemplateDeviations, templateDeviations } from './compatible.js';
import type { DeviationId } from './deviations.js';
import type { Allow } from './gate.js';
import { classOf, isKeyClass, keyTypeOf, type ObjectKind, objectKind } from './kinds.js';
import { LABEL_CHARACTERS, labelCharacters } from './label.js';
import { nestedTemplateValue } from './nested-template.js';
import { defaultOf, type Origin, type Rule, type RuleSet, rulesFor } from './rules.js';

/** An object's attributes: number to value. What is not in the map the object does not have. */
export type Attributes = Map<number, Buffer>;

const NOTHING = Buffer.alloc(0);

/** A value as its kind demands; a CK_BBOOL becomes 0 or 1. Throws CKR_ATTRIBUTE_TYPE_INVALID or _VALUE_INVALID. */
export function checkedValue(entry: Attribute): Buffer {
  const kind = attributeKind(entry.type);
  if (kind === undefined)
    throw ckr('CKR_ATTRIBUTE_TYPE_INVALID', `${attributeName(entry.type)} is no attribute of PKCS#11`);
  if (kind === 'template') return nestedTemplateValue(entry, checkedValue);
  const lengths = fixedLengths[kind];
  if (lengths !== undefined && !lengths.includes(entry.value.length)) {
    throw ckr(
      'CKR_ATTRIBUTE_VALUE_INVALID',
      `${attributeName(entry.type)} has ${entry.value.length} bytes instead of ${lengths.join(' or ')}`,
    );
  }
  if (kind === 'bool') return boolBytes(entry.value[0] !== 0);
  return kind === 'ulong' ? keptUlong(entry.value) : Buffer.from(entry.value);
}

/** Whether a template may hold the attribute at all. */
function checkRule(rule: Rule | undefined, kind: ObjectKind, type: number): void {
  if (rule !== undefined && rule !== '.' && rule !== 'R') return;
  const name = attributeName(type);
  if (rule === undefined && kind !== 'certificate')
    throw ckr('CKR_ATTRIBUTE_TYPE_INVALID', `keys of CloudHSM have no ${name}`);
  if (rule === 'R') throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} is set by the HSM`);
  throw ckr('CKR_TEMPLATE_INCONSISTENT', `an object of kind ${kind} has no ${name}`);
}

/** Whether it may have the value: `=` means the default and nothing else. */
function checkDefault(origin: Origin, kind: ObjectKind, type: number, value: Buffer): void {
  const only = defaultOf(origin, kind, type);
  if (value[0] !== Number(only))
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `${attributeName(type)} can only be ${only}`);
}

/** The kind of object a template for C_CreateObject or C_UnwrapKey describes. */
export function kindOfTemplate(template: Template): ObjectKind {
  const numberOf = (type: number): number | undefined => {
    const entry = findAttribute(template, type);
    return entry && ulongOf(checkedValue(entry));
  };
  const objectClass = numberOf(CKA.CKA_CLASS);
  if (objectClass === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_CLASS');
  const keyType = numberOf(CKA.CKA_KEY_TYPE);
  const kind = objectKind(objectClass, keyType);
  if (kind !== undefined) return kind;
  if (keyType === undefined && isKeyClass(objectClass))
    throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_KEY_TYPE');
  throw ckr(
    'CKR_TEMPLATE_INCONSISTENT',
    `CloudHSM has no object of class ${objectClass} and key type ${keyType}`,
  );
}

/**
 * A key type that no secret key of CloudHSM has is refused before the mechanism is looked at, and with another code than one that
 * only does not go with the mechanism: crypto11 asks for nShield's HMAC key types first, and goes on to generic secrets for
 * CKR_ATTRIBUTE_VALUE_INVALID, "AWS CloudHSM returns" it. Library 2.0.4 [seen].
 */
export function requireSecretKeyType(template: Template): void {
  const entry = findAttribute(template, CKA.CKA_KEY_TYPE);
  if (entry === undefined) return;
  const keyType = ulongOf(checkedValue(entry));
  if (objectKind(CKO.CKO_SECRET_KEY, keyType) === undefined)
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `CloudHSM has no secret keys of CKA_KEY_TYPE ${keyType}`);
}

/** The rules for one origin and kind, looked up once for all templates. */
interface TemplateRules {
  readonly rules: RuleSet;
  readonly deviations: TemplateDeviations;
  readonly required: readonly number[];
  readonly defaults: readonly (readonly [number, Buffer])[];
  /** CKA_CLASS and its like follow from the mechanism or the call; a template may only repeat them. */
  readonly identity: readonly (readonly [number, Buffer])[];
}

function compile(origin: Origin, kind: ObjectKind): TemplateRules {
  const rules = rulesFor(origin, kind);
  const identity: [number, number | undefined][] = [
    [CKA.CKA_CLASS, classOf(kind)],
    [CKA.CKA_KEY_TYPE, keyTypeOf(kind)],
    [CKA.CKA_CERTIFICATE_TYPE, kind === 'certificate' ? CKC.CKC_X_509 : undefined],
  ];
  return {
    rules,
    deviations: templateDeviations(origin, kind),
    required: [...rules].flatMap(([type, rule]) => (rule === '!' ? [type] : [])),
    defaults: [...rules].flatMap(([type, rule]) => {
      const value = defaultFor(origin, kind, type, rule);
      return value === undefined ? [] : [[type, value] as const];
    }),
    identity: identity.flatMap(([type, value]) =>
      value === undefined ? [] : [[type, sharedUlongBytes(value)] as const],
    ),
  };
}

/** "C_UnwrapKey: WRAP_WITH_TRUSTED: not listed", and yet an unwrap template is how unwrapped keys come to have it (reference
 * sections 11.1 and 12): what a template of C_CreateObject may set, an unwrap template may. */
function imposedRule(rules: RuleSet, kind: ObjectKind, type: number): Rule | undefined {
  const rule = rules.get(type);
  return rule === '.' && rulesFor('create', kind).get(type) === 'W' ? 'W' : rule;
}

const compiled = new Map<string, TemplateRules>();

function templateRules(origin: Origin, kind: ObjectKind): TemplateRules {
  const name = `${origin} ${kind}`;
  let rules = compiled.get(name);
  if (rules === undefined) {
    rules = compile(origin, kind);
    compiled.set(name, rules);
  }
  return rules;
}

/** The deviation that an entry is. */
function deviationOf({ present }: TemplateDeviations, { type, value }: Attribute): DeviationId | undefined {
  const row = present.get(type);
  return row && (row.value === undefined || row.value === (value[0] !== 0)) ? row.deviation : undefined;
}

/**
 * Turns a template into the attributes of a new object of `kind`: every entry is held against the rule for `origin`,
 * what must be there is demanded, and defaults fill the rest. The one way into an object, whichever call made it.
 * `allow` decides about what CloudHSM refuses and has a row for; `imposed` are the attributes that an unwrapping key's own
 * template has added to the program's.
 *
 * Throws CKR_ATTRIBUTE_TYPE_INVALID, _VALUE_INVALID, _READ_ONLY, CKR_TEMPLATE_INCONSISTENT or _INCOMPLETE.
 */
export function validateTemplate(
  origin: Origin,
  kind: ObjectKind,
  template: Template,
  allow: Allow,
  imposed?: ReadonlySet<number>,
): Attributes {
  const { rules, deviations, required, defaults, identity } = templateRules(origin, kind);
  if (rules.size === 0)
    throw ckr('CKR_TEMPLATE_INCONSISTENT', `CloudHSM makes no object of kind ${kind} in this way`);
  const attributes: Attributes = new Map();
  for (const entry of template) {
    // What an attribute is counts before what it says: an attribute the kind does not have is refused as such.
    const ownRule = rules.get(entry.type);
    const rule = imposed?.has(entry.type) ? imposedRule(rules, kind, entry.type) : ownRule;
    const deviation = rule === ownRule ? deviationOf(deviations, entry) : undefined;
    if (deviation === undefined) checkRule(rule, kind, entry.type);
    else allow(deviation, `${attributeName(entry.type)} in the template of a key of kind ${kind}`);
    const value = checkedValue(entry);
    if (entry.type === CKA.CKA_LABEL && kind !== 'certificate' && labelCharacters(value) > LABEL_CHARACTERS)
      allow('long-label', `CKA_LABEL of ${value.length} bytes`);
    if (rule === '=' && deviation === undefined) checkDefault(origin, kind, entry.type, value);
    if (attributes.has(entry.type)) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(entry.type)} stands twice in the template`);
    }
    attributes.set(entry.type, value);
  }
  for (const type of required) {
    if (attributes.has(type)) continue;
    const deviation = deviations.absent.get(type);
    const complaint = `the template has no ${attributeName(type)}`;
    if (deviation === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', complaint);
    allow(deviation, complaint);
  }
  for (const [type, value] of defaults) if (!attributes.has(type)) attributes.set(type, value);
  for (const [type, value] of identity) {
    if (attributes.get(type)?.equals(value) === false) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(type)} is another one than the object's`);
    }
    attributes.set(type, value);
  }
  checkFixedPolicy(attributes);
  return attributes;
}

function defaultFor(origin: Origin, kind: ObjectKind, type: number, rule: Rule): Buffer | undefined {
  const value = rule === '.' ? undefined : defaultOf(origin, kind, type);
  if (value === undefined) return undefined;
  if (typeof value === 'number') return sharedUlongBytes(value);
  return value === '' ? NOTHING : boolBytes(value);
}

/** What no profile accepts: only an admin makes a key trusted (reference 11.2), and no key asks for a PIN per use. */
function checkFixedPolicy(attributes: Attributes): void {
  for (const type of [CKA.CKA_TRUSTED, CKA.CKA_ALWAYS_AUTHENTICATE]) {
    if (attributes.get(type)?.[0] === 1) {
      throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `a crypto user cannot set ${attributeName(type)} to TRUE`);
    }
  }
}
