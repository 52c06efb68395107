import { vendorAttributes } from './vendor.js';

/**
 * How the bytes of an attribute's value are read. A value is kept as the bytes the program passed, in the layout
 * of an LP64 little-endian machine: `bool` is one byte, `ulong` eight.
 */
export type AttributeKind = 'bool' | 'ulong' | 'bytes' | 'bigint' | 'text' | 'date' | 'template' | 'ulongs';

/** THE row per attribute: its number and how its value is read. (pkcs11t.h v2.40) */
const rows = {
  CKA_CLASS: [0x0, 'ulong'],
  CKA_TOKEN: [0x1, 'bool'],
  CKA_PRIVATE: [0x2, 'bool'],
  CKA_LABEL: [0x3, 'text'],
  CKA_APPLICATION: [0x10, 'text'],
  CKA_VALUE: [0x11, 'bytes'],
  CKA_OBJECT_ID: [0x12, 'bytes'],
  CKA_CERTIFICATE_TYPE: [0x80, 'ulong'],
  CKA_ISSUER: [0x81, 'bytes'],
  CKA_SERIAL_NUMBER: [0x82, 'bytes'],
  CKA_TRUSTED: [0x86, 'bool'],
  CKA_CERTIFICATE_CATEGORY: [0x87, 'ulong'],
  CKA_CHECK_VALUE: [0x90, 'bytes'],
  CKA_KEY_TYPE: [0x100, 'ulong'],
  CKA_SUBJECT: [0x101, 'bytes'],
  CKA_ID: [0x102, 'bytes'],
  CKA_SENSITIVE: [0x103, 'bool'],
  CKA_ENCRYPT: [0x104, 'bool'],
  CKA_DECRYPT: [0x105, 'bool'],
  CKA_WRAP: [0x106, 'bool'],
  CKA_UNWRAP: [0x107, 'bool'],
  CKA_SIGN: [0x108, 'bool'],
  CKA_SIGN_RECOVER: [0x109, 'bool'],
  CKA_VERIFY: [0x10a, 'bool'],
  CKA_VERIFY_RECOVER: [0x10b, 'bool'],
  CKA_DERIVE: [0x10c, 'bool'],
  CKA_START_DATE: [0x110, 'date'],
  CKA_END_DATE: [0x111, 'date'],
  CKA_MODULUS: [0x120, 'bigint'],
  CKA_MODULUS_BITS: [0x121, 'ulong'],
  CKA_PUBLIC_EXPONENT: [0x122, 'bigint'],
  CKA_PRIVATE_EXPONENT: [0x123, 'bigint'],
  CKA_PRIME_1: [0x124, 'bigint'],
  CKA_PRIME_2: [0x125, 'bigint'],
  CKA_EXPONENT_1: [0x126, 'bigint'],
  CKA_EXPONENT_2: [0x127, 'bigint'],
  CKA_COEFFICIENT: [0x128, 'bigint'],
  CKA_PUBLIC_KEY_INFO: [0x129, 'bytes'],
  CKA_VALUE_LEN: [0x161, 'ulong'],
  CKA_EXTRACTABLE: [0x162, 'bool'],
  CKA_LOCAL: [0x163, 'bool'],
  CKA_NEVER_EXTRACTABLE: [0x164, 'bool'],
  CKA_ALWAYS_SENSITIVE: [0x165, 'bool'],
  CKA_KEY_GEN_MECHANISM: [0x166, 'ulong'],
  CKA_MODIFIABLE: [0x170, 'bool'],
  CKA_COPYABLE: [0x171, 'bool'],
  CKA_DESTROYABLE: [0x172, 'bool'],
  CKA_EC_PARAMS: [0x180, 'bytes'],
  CKA_EC_POINT: [0x181, 'bytes'],
  CKA_ALWAYS_AUTHENTICATE: [0x202, 'bool'],
  CKA_WRAP_WITH_TRUSTED: [0x210, 'bool'],
  CKA_WRAP_TEMPLATE: [0x40000211, 'template'],
  CKA_UNWRAP_TEMPLATE: [0x40000212, 'template'],
  CKA_DERIVE_TEMPLATE: [0x40000213, 'template'],
  CKA_ALLOWED_MECHANISMS: [0x40000600, 'ulongs'],
  CKA_CLOUDHSM_PARAMETER_SET: [vendorAttributes.CKA_CLOUDHSM_PARAMETER_SET, 'ulong'],
} as const satisfies Record<string, readonly [number, AttributeKind]>;

export type AttributeName = keyof typeof rows;

/** Attribute numbers by name: `CKA.CKA_LABEL`. */
export const CKA = Object.fromEntries(Object.entries(rows).map(([name, [type]]) => [name, type])) as {
  readonly [Name in AttributeName]: (typeof rows)[Name][0];
};

const byType = new Map<number, { name: AttributeName; kind: AttributeKind }>(
  Object.entries(rows).map(([name, [type, kind]]) => [type, { name: name as AttributeName, kind }]),
);

export function attributeKind(type: number): AttributeKind | undefined {
  return byType.get(type)?.kind;
}

const templates: ReadonlySet<number> = new Set(
  [...byType].flatMap(([type, { kind }]) => (kind === 'template' ? [type] : [])),
);

/** Whether the attribute's value is an array of attributes (CKA_WRAP_TEMPLATE). */
export function isTemplateAttribute(type: number): boolean {
  return templates.has(type);
}

/** The attribute's name for a log line, or its number where the standard has no name for it. */
export function attributeName(type: number): string {
  return byType.get(type)?.name ?? `0x${type.toString(16)}`;
}

/** Lengths a value of this kind may have; `undefined` where any will do. */
export const fixedLengths: { readonly [Kind in AttributeKind]?: readonly number[] } = {
  bool: [1],
  ulong: [8],
  date: [0, 8],
};
