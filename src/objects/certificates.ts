import type { HsmType } from '../base/cluster-kind.js';
import { type AttributeName, attributeName, CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { ulongOf } from '../pkcs11/template.js';
import { LABEL_CHARACTERS, labelCharacters } from './label.js';
import type { Default, Rule } from './rules.js';
import type { Attributes } from './template-validator.js';

/*
 * Certificates stored as objects (reference section 15): no keys, so they have rules of their own. Every CU sees them; the CU
 * who stored one changes and destroys it [guess].
 */

/** "hsm1 clusters: not available." */
export function mayStoreCertificates(hsmType: HsmType): boolean {
  return hsmType === 'hsm2m.medium';
}

/** Whether an HSM keeps certificates. CloudHSM does once it is told to; where nobody has said anything it is a deviation. */
export type CertificateSwitch = 'on' | 'off' | 'unstated';

export function certificateSwitch(hsmType: HsmType, stated: boolean | undefined): CertificateSwitch {
  if (stated === false || !mayStoreCertificates(hsmType)) return 'off';
  return stated === true ? 'on' : 'unstated';
}

interface CertificateRow {
  readonly rule: Rule;
  readonly default?: Default;
  /** The most there may be: bytes, or characters of a text. */
  readonly most?: number;
  /** C_SetAttributeValue changes it. "LABEL, ID and similar; not VALUE/SUBJECT/CLASS" [guess] */
  readonly changes?: true;
}

/** THE row per attribute. */
export const certificateRows: { readonly [Name in AttributeName]?: CertificateRow } = {
  CKA_CLASS: { rule: '!' },
  CKA_CERTIFICATE_TYPE: { rule: '!' },
  CKA_SUBJECT: { rule: '!' },
  CKA_VALUE: { rule: '!', most: 32 * 1024 },
  // "TOKEN must be True", and the standard's default is FALSE: it has to be said.
  CKA_TOKEN: { rule: '!' },
  CKA_PRIVATE: { rule: 'W', default: false },
  CKA_MODIFIABLE: { rule: 'W', default: true },
  CKA_COPYABLE: { rule: 'W', default: false },
  CKA_DESTROYABLE: { rule: 'W', default: true },
  CKA_TRUSTED: { rule: '=', default: false },
  CKA_CERTIFICATE_CATEGORY: { rule: 'W', default: 0 },
  CKA_LABEL: { rule: 'W', default: '', most: LABEL_CHARACTERS, changes: true },
  CKA_ID: { rule: 'W', default: '', most: 128, changes: true },
  CKA_ISSUER: { rule: 'W', default: '' },
  CKA_SERIAL_NUMBER: { rule: 'W', default: '' },
  CKA_START_DATE: { rule: 'W', default: '' },
  CKA_END_DATE: { rule: 'W', default: '' },
  CKA_PUBLIC_KEY_INFO: { rule: 'W', default: '', most: 16 * 1024 },
  CKA_CHECK_VALUE: { rule: 'R' },
};

const entries = Object.entries(certificateRows).map(
  ([name, row]) => [CKA[name as AttributeName], row] as const,
);

/** Attributes that C_SetAttributeValue changes. */
export const changeableOfCertificates: ReadonlySet<number> = new Set(
  entries.filter(([, { changes }]) => changes === true).map(([type]) => type),
);

const longest = entries.flatMap(([type, { most }]) => (most === undefined ? [] : [[type, most] as const]));

/** CK_CERTIFICATE_CATEGORY_OTHER_ENTITY of v2.40, the last one. */
const LAST_CATEGORY = 3;

/** Checks what rules do not say of a certificate's attributes. Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkCertificate(attributes: Attributes): void {
  const invalid = (type: number, why: string): Error =>
    ckr('CKR_ATTRIBUTE_VALUE_INVALID', `${attributeName(type)} of a certificate ${why}`);
  if (attributes.get(CKA.CKA_TOKEN)?.[0] !== 1) throw invalid(CKA.CKA_TOKEN, 'must be TRUE');
  for (const type of [CKA.CKA_VALUE, CKA.CKA_SUBJECT]) {
    if (attributes.get(type)?.length === 0) throw invalid(type, 'is empty');
  }
  for (const [type, most] of longest) {
    const value = attributes.get(type);
    if (value === undefined) continue;
    const length = type === CKA.CKA_LABEL ? labelCharacters(value) : value.length;
    if (length > most) throw invalid(type, `has ${length} bytes or characters: at most ${most} are allowed`);
  }
  const category = attributes.get(CKA.CKA_CERTIFICATE_CATEGORY);
  if (category && ulongOf(category) > LAST_CATEGORY)
    throw invalid(CKA.CKA_CERTIFICATE_CATEGORY, 'is unknown');
}
