import type { HsmType } from '../base/cluster-kind.js';
import { type AttributeName, attributeName, CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import type { Attribute } from '../pkcs11/template.js';
import { boolAttribute, type HsmObject, kindOf } from './hsm-object.js';
import type { ObjectKind } from './kinds.js';
import { LABEL_CHARACTERS, labelCharacters } from './label.js';
import { readRule } from './rules.js';
import { type Attributes, checkedValue } from './template-validator.js';

/** Which way a boolean may go: both, up to TRUE, or down to FALSE. What is no boolean goes both ways. */
export type Way = 'both' | 'toTrue' | 'toFalse';

interface SettingRow {
  readonly by: 'owner' | 'admin';
  readonly way: Way;
  /** Where it cannot be set: on an hsm1.medium, for all kinds of key or for some. */
  readonly notOnHsm1?: 'any' | readonly ObjectKind[];
}

const owner: SettingRow = { by: 'owner', way: 'both' };
const hsm2mOnly = { notOnHsm1: 'any' } as const;

/**
 * What CloudHSM's tools change in a key that exists (`key set-attribute`; reference section 11.4): THE row per attribute.
 * What has no row never changes: CKA_SENSITIVE (the current table of the CLI; an older guide had it), CKA_PRIVATE, CKA_LOCAL,
 * CKA_CLASS, CKA_KEY_TYPE, CKA_CHECK_VALUE, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, the key itself.
 */
export const keySettings: { readonly [Name in AttributeName]?: SettingRow } = {
  CKA_LABEL: owner,
  CKA_ENCRYPT: owner,
  CKA_DECRYPT: owner,
  CKA_SIGN: owner,
  CKA_VERIFY: owner,
  CKA_WRAP: owner,
  CKA_UNWRAP: owner,
  CKA_DESTROYABLE: owner,
  CKA_WRAP_TEMPLATE: owner,
  CKA_UNWRAP_TEMPLATE: owner,
  CKA_ID: { ...owner, ...hsm2mOnly },
  CKA_DERIVE: { ...owner, notOnHsm1: ['rsaPublic', 'rsaPrivate'] },
  CKA_MODIFIABLE: { by: 'owner', way: 'toFalse' },
  CKA_EXTRACTABLE: { by: 'owner', way: 'toFalse', ...hsm2mOnly },
  CKA_TOKEN: { by: 'owner', way: 'toTrue' },
  CKA_WRAP_WITH_TRUSTED: { by: 'owner', way: 'toTrue' },
  CKA_TRUSTED: { by: 'admin', way: 'both' },
};

/** What its owner changes in a key, and which way. */
export const ownerSettings: { readonly [Name in AttributeName]?: Way } = Object.fromEntries(
  Object.entries(keySettings).flatMap(([name, { by, way }]) => (by === 'owner' ? [[name, way]] : [])),
);

const byType: ReadonlyMap<number, SettingRow> = new Map(
  Object.entries(keySettings).map(([name, row]) => [CKA[name as AttributeName], row]),
);

/** Who sets an attribute, and on which type of HSM. */
export interface Setter {
  readonly role: 'CO' | 'CU';
  readonly hsmType: HsmType;
}

function checkSetter({ role, hsmType }: Setter, row: SettingRow, kind: ObjectKind, name: string): void {
  if ((row.by === 'admin') !== (role === 'CO')) {
    const who = row.by === 'admin' ? 'an admin' : "the key's owner";
    throw ckr('CKR_ACTION_PROHIBITED', `${name} is set by ${who}`);
  }
  const { notOnHsm1 } = row;
  if (hsmType === 'hsm1.medium' && (notOnHsm1 === 'any' || notOnHsm1?.includes(kind))) {
    throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} of such a key never changes on an hsm1.medium`);
  }
}

/**
 * The attributes of a key after a tool has set one of them. Ownership is checked before. CKA_MODIFIABLE FALSE keeps everybody
 * out, an admin too [guess]. Throws CKR_ACTION_PROHIBITED for the wrong user or an object that is not modifiable,
 * CKR_ATTRIBUTE_READ_ONLY for what never changes or not that way, CKR_ATTRIBUTE_TYPE_INVALID or _VALUE_INVALID.
 */
export function attributesAfterSetting(object: HsmObject, entry: Attribute, setter: Setter): Attributes {
  const name = attributeName(entry.type);
  const kind = kindOf(object);
  const row = byType.get(entry.type);
  if (kind === 'certificate') throw ckr('CKR_ACTION_PROHIBITED', `object ${object.handle} is no key`);
  if (row === undefined) throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} of a key never changes`);
  checkSetter(setter, row, kind, name);
  if (!boolAttribute(object, CKA.CKA_MODIFIABLE)) {
    throw ckr('CKR_ACTION_PROHIBITED', `key ${object.handle} has CKA_MODIFIABLE FALSE`);
  }
  if (readRule(kind, entry.type) === '.') {
    throw ckr('CKR_ATTRIBUTE_TYPE_INVALID', `a key of kind ${kind} has no ${name}`);
  }
  const value = checkedValue(entry);
  if (entry.type === CKA.CKA_LABEL && labelCharacters(value) > LABEL_CHARACTERS)
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `a label has at most ${LABEL_CHARACTERS} characters`);
  const wanted = row.way === 'both' ? undefined : Number(row.way === 'toTrue');
  if (wanted !== undefined && value[0] !== wanted && boolAttribute(object, entry.type) === (wanted === 1)) {
    throw ckr('CKR_ATTRIBUTE_READ_ONLY', `${name} only changes to ${wanted === 1 ? 'TRUE' : 'FALSE'}`);
  }
  return new Map(object.attributes).set(entry.type, value);
}
