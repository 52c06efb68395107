import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKO } from '../pkcs11/constants.js';
import { attribute, type Template, ulongOf } from '../pkcs11/template.js';
import { callDeviations } from './deviations.js';
import type { Attributes } from './template-validator.js';

/**
 * What finds other objects that have this one's CKA_ID, or undefined where it may be shared: "a value must be unique in the
 * cluster" (reference section 7), except the empty one; but both halves of a pair have the same in practice, so unique within
 * one object class [guess]; "need not be unique" for certificates (section 15).
 */
export function sameIdTemplate(attributes: Attributes): Template | undefined {
  const id = attributes.get(CKA.CKA_ID);
  const objectClass = attributes.get(CKA.CKA_CLASS);
  if (id === undefined || id.length === 0 || objectClass === undefined) return undefined;
  if (ulongOf(objectClass) === CKO.CKO_CERTIFICATE) return undefined;
  return [attribute(CKA.CKA_ID, id), attribute(CKA.CKA_CLASS, objectClass)];
}

/** The same string for the same id and class. */
export const idClaim = (template: Template): string =>
  template.map(({ value }) => value.toString('latin1')).join(' ');

/** Says which id is in use. */
export function duplicateIdText(template: Template): string {
  const id = template.find(({ type }) => type === CKA.CKA_ID)!.value.toString('hex');
  return `another object of its class has CKA_ID ${id}`;
}

/** The refusal of one that came in between, where ids are unique. */
export function duplicateId(template: Template): Error {
  return ckr(callDeviations['duplicate-id'].answer, duplicateIdText(template));
}
