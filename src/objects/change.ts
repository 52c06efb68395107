import { type AttributeName, attributeName, CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { type Attribute, boolBytes, type Template } from '../pkcs11/template.js';
import { changeableOfCertificates, checkCertificate } from './certificates.js';
import { descriptiveAttributes } from './compatible.js';
import { boolAttribute, type HsmObject, kindOf } from './hsm-object.js';
import { ownerSettings, type Way } from './key-settings.js';
import type { ObjectKind } from './kinds.js';
import { readRule } from './rules.js';
import { type Attributes, checkedValue } from './template-validator.js';

/** These are the owner's settings of the tools (reference section 11.4), with the standard's for what CloudHSM's keys
 * do not have. CKA_TOKEN of an object never changes (v2.40 base, section 4.4). */
const { CKA_TOKEN: _, ...settings } = ownerSettings;

/**
 * What can be changed in an object that exists. CloudHSM changes attributes of keys with its CLI only; the compatible profile
 * lets C_SetAttributeValue and C_CopyObject do it. What has no row never changes.
 */
const changes: { readonly [Name in AttributeName]?: Way } = {
  ...settings,
  CKA_SUBJECT: 'both',
  CKA_START_DATE: 'both',
  CKA_END_DATE: 'both',
  CKA_COPYABLE: 'toFalse',
  CKA_SENSITIVE: 'toTrue',
};

/** A copy may also live elsewhere than its original (v2.40 base, C_CopyObject). */
const copyChanges: typeof changes = {
  ...changes,
  CKA_TOKEN: 'both',
  CKA_PRIVATE: 'both',
  CKA_MODIFIABLE: 'both',
};

const byType = (rows: typeof changes): ReadonlyMap<number, Way> =>
  new Map(Object.entries(rows).map(([name, change]) => [CKA[name as AttributeName], change]));

const rules = { change: byType(changes), copy: byType(copyChanges) };
const certificateChanges: ReadonlyMap<number, Way> = new Map(
  [...changeableOfCertificates].map((type) => [type, 'both']),
);

/** Attributes of objects that exist which somebody can change: an admin CKA_TRUSTED. */
export const changeableAttributes: ReadonlySet<number> = new Set([
  ...rules.change.keys(),
  ...certificateChanges.keys(),
  CKA.CKA_TRUSTED,
]);

/** Attributes that never go back from a value once they have it, with that value. */
export const finalValues: readonly (readonly [type: number, value: boolean])[] = [...rules.change].flatMap(
  ([type, way]) => (way === 'both' ? [] : [[type, way === 'toTrue'] as const]),
);

const hasAttribute = (kind: ObjectKind, type: number): boolean =>
  readRule(kind, type) !== '.' || (kind !== 'certificate' && descriptiveAttributes.has(type));

function changed(object: HsmObject, entry: Attribute, allowed: ReadonlyMap<number, Way>): Buffer {
  const name = attributeName(entry.type);
  const value = checkedValue(entry);
  const present = object.attributes.get(entry.type);
  if (present?.equals(value)) return value;
  const change = allowed.get(entry.type);
  if (change === undefined) throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} of an object never changes`);
  if (change !== 'both' && value[0] !== Number(change === 'toTrue')) {
    throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} only changes to ${change === 'toTrue' ? 'TRUE' : 'FALSE'}`);
  }
  return value;
}

function withChanges(object: HsmObject, template: Template, allowed: ReadonlyMap<number, Way>): Attributes {
  const attributes = new Map(object.attributes);
  const kind = kindOf(object);
  const seen = new Set<number>();
  for (const entry of template) {
    if (seen.has(entry.type)) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(entry.type)} stands twice in the template`);
    }
    seen.add(entry.type);
    const value = changed(object, entry, allowed);
    if (!hasAttribute(kind, entry.type)) {
      throw ckr(
        'CKR_ATTRIBUTE_TYPE_INVALID',
        `an object of kind ${kind} has no ${attributeName(entry.type)}`,
      );
    }
    attributes.set(entry.type, value);
  }
  return attributes;
}

/** The attributes of an object after C_SetAttributeValue. Throws CKR_ACTION_PROHIBITED for one that is not modifiable,
 * CKR_ATTRIBUTE_READ_ONLY, _TYPE_INVALID or _VALUE_INVALID; then nothing has changed. */
export function changedAttributes(object: HsmObject, template: Template): Attributes {
  if (!boolAttribute(object, CKA.CKA_MODIFIABLE)) {
    throw ckr('CKR_ACTION_PROHIBITED', `object ${object.handle} has CKA_MODIFIABLE FALSE`);
  }
  if (kindOf(object) !== 'certificate') return withChanges(object, template, rules.change);
  const attributes = withChanges(object, template, certificateChanges);
  checkCertificate(attributes);
  return attributes;
}

/** The attributes of a copy made by C_CopyObject. Throws as `changedAttributes`. */
export function copiedAttributes(object: HsmObject, template: Template): Attributes {
  if (object.attributes.get(CKA.CKA_COPYABLE)?.[0] === 0) {
    throw ckr('CKR_ACTION_PROHIBITED', `object ${object.handle} has CKA_COPYABLE FALSE`);
  }
  const attributes = withChanges(object, template, rules.copy);
  // Of the copy nobody but an admin says that it is trusted.
  if (attributes.has(CKA.CKA_TRUSTED)) attributes.set(CKA.CKA_TRUSTED, boolBytes(false));
  return attributes;
}
