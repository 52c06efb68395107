import { CKK, CKO } from '../pkcs11/constants.js';

/** The kinds of object an HSM holds: the columns of the attribute rules. */
export type ObjectKind =
  | 'ecPrivate'
  | 'ecPublic'
  | 'rsaPrivate'
  | 'rsaPublic'
  | 'mldsaPrivate'
  | 'mldsaPublic'
  | 'aes'
  | 'des3'
  | 'generic'
  | 'certificate';

interface KindRow {
  readonly kind: ObjectKind;
  readonly objectClass: number;
  /** undefined: no key. */
  readonly keyType?: number;
}

export const kindRows: readonly KindRow[] = [
  { kind: 'ecPrivate', objectClass: CKO.CKO_PRIVATE_KEY, keyType: CKK.CKK_EC },
  { kind: 'ecPublic', objectClass: CKO.CKO_PUBLIC_KEY, keyType: CKK.CKK_EC },
  { kind: 'rsaPrivate', objectClass: CKO.CKO_PRIVATE_KEY, keyType: CKK.CKK_RSA },
  { kind: 'rsaPublic', objectClass: CKO.CKO_PUBLIC_KEY, keyType: CKK.CKK_RSA },
  { kind: 'mldsaPrivate', objectClass: CKO.CKO_PRIVATE_KEY, keyType: CKK.CKK_CLOUDHSM_ML_DSA },
  { kind: 'mldsaPublic', objectClass: CKO.CKO_PUBLIC_KEY, keyType: CKK.CKK_CLOUDHSM_ML_DSA },
  { kind: 'aes', objectClass: CKO.CKO_SECRET_KEY, keyType: CKK.CKK_AES },
  { kind: 'des3', objectClass: CKO.CKO_SECRET_KEY, keyType: CKK.CKK_DES3 },
  { kind: 'generic', objectClass: CKO.CKO_SECRET_KEY, keyType: CKK.CKK_GENERIC_SECRET },
  { kind: 'certificate', objectClass: CKO.CKO_CERTIFICATE },
];

/** The kind of a class and key type, or undefined where CloudHSM has no such object. */
export function objectKind(objectClass: number, keyType: number | undefined): ObjectKind | undefined {
  return kindRows.find(
    (row) => row.objectClass === objectClass && (row.keyType === undefined || row.keyType === keyType),
  )?.kind;
}

/** Whether objects of the class have a CKA_KEY_TYPE. */
export function isKeyClass(objectClass: number): boolean {
  return kindRows.some((row) => row.objectClass === objectClass && row.keyType !== undefined);
}

export function isSecret(kind: ObjectKind): boolean {
  return classOf(kind) === CKO.CKO_SECRET_KEY;
}

export function classOf(kind: ObjectKind): number {
  return kindRows.find((row) => row.kind === kind)!.objectClass;
}

export function keyTypeOf(kind: ObjectKind): number | undefined {
  return kindRows.find((row) => row.kind === kind)!.keyType;
}
