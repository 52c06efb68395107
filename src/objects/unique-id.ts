import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKO } from '../pkcs11/constants.js';
import { type Template, ulongOf } from '../pkcs11/template.js';
import { callDeviations } from './deviations.js';
import type { Attributes } from './template-validator.js';

/**
 * The same string for objects that may not have the same CKA_ID, or undefined where it may be shared: "a value must be unique in
 * the cluster" (reference section 7), except the empty one; but both halves of a pair have the same in practice, so unique within
 * one object class [guess]; "need not be unique" for certificates (section 15).
 */
export function idClaim(attributes: Pick<Attributes, 'get'>): string | undefined {
  const id = attributes.get(CKA.CKA_ID);
  const objectClass = attributes.get(CKA.CKA_CLASS);
  if (id === undefined || id.length === 0 || objectClass === undefined) return undefined;
  const number = ulongOf(objectClass);
  return number === CKO.CKO_CERTIFICATE ? undefined : `${number} ${id.toString('latin1')}`;
}

/** What finds the objects that have the same claim. */
export const sameIdTemplate = (attributes: Attributes): Template =>
  [CKA.CKA_ID, CKA.CKA_CLASS].map((type) => ({ type, value: attributes.get(type)! }));

/** Says which id is in use. */
export const duplicateIdText = (attributes: Attributes): string =>
  `another object of its class has CKA_ID ${attributes.get(CKA.CKA_ID)!.toString('hex')}`;

/** The refusal of one that came in between, where ids are unique. */
export const duplicateId = (attributes: Attributes): Error =>
  ckr(callDeviations['duplicate-id'].answer, duplicateIdText(attributes));
