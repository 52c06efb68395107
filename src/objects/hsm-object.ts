import { CKA } from '../pkcs11/attributes.js';
import { ulongOf } from '../pkcs11/template.js';
import type { ChangeMarks } from './change-marks.js';
import type { KeyQuorum } from './key-quorum.js';
import { type ObjectKind, objectKind } from './kinds.js';
import type { Attributes } from './template-validator.js';

/** An object as an HSM holds it. */
export interface HsmObject {
  /** The same on every HSM of the cluster, and never used again. */
  readonly handle: number;
  /** 1 when it is made, one more with each change of what is not its key: the HSMs of a cluster keep the highest. */
  readonly version: number;
  /** The crypto user who made it. */
  readonly owner: string;
  /** Crypto users who may use it, but not change or delete it. */
  readonly sharedWith: readonly string[];
  /** How many of them must approve what is done with it; none: nobody. It never changes. */
  readonly quorum?: KeyQuorum | undefined;
  /** What was changed of it when; none: nothing yet, or not since there are marks. */
  readonly marks?: ChangeMarks | undefined;
  /** Everything a program may ask for, except what is secret. */
  readonly attributes: Attributes;
  /** The key itself: a secret key's bytes, PKCS#8 of a private key, SubjectPublicKeyInfo of a public one. Empty for
   * certificates. Cleansed when the object is destroyed. */
  readonly material: Buffer;
}

/** What searches look at of an object, and whoever decides who may see it. */
export interface VisibleObject extends Pick<HsmObject, 'handle' | 'owner' | 'sharedWith'> {
  readonly attributes: Pick<Attributes, 'get'>;
}

export function boolAttribute(object: Pick<VisibleObject, 'attributes'>, type: number): boolean {
  return object.attributes.get(type)?.[0] === 1;
}

export function ulongAttribute(object: Pick<VisibleObject, 'attributes'>, type: number): number | undefined {
  const value = object.attributes.get(type);
  return value && ulongOf(value);
}

/** An object without a kind cannot come into being; a record that yields one is corrupt. */
export function kindOf(object: Pick<VisibleObject, 'handle' | 'attributes'>): ObjectKind {
  const kind = objectKind(
    ulongAttribute(object, CKA.CKA_CLASS) ?? -1,
    ulongAttribute(object, CKA.CKA_KEY_TYPE),
  );
  if (kind === undefined) throw new Error(`object ${object.handle} is of no kind this HSM has`);
  return kind;
}

export function isTokenObject(object: Pick<VisibleObject, 'attributes'>): boolean {
  return boolAttribute(object, CKA.CKA_TOKEN);
}
