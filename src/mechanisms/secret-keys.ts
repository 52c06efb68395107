import type { ClusterKind } from '../base/cluster-kind.js';
import { randomBytes } from '../crypto/index.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { type Template, templateUlong } from '../pkcs11/template.js';
import { hasOddParity, setOddParity } from './des-parity.js';
import { type ClusterSelection, isSelected, type MechanismRow, nonFips } from './mechanism.js';

interface SecretKeyType {
  readonly keyType: number;
  readonly generation: number;
  readonly name: string;
  /** Either some lengths, or all between two. */
  readonly lengthsBytes: readonly number[] | { readonly from: number; readonly to: number };
  /** Brings random or derived bytes into the form that keys of the type have. */
  finish?(bytes: Buffer): void;
  /** Whether bytes have that form. */
  isSound?(bytes: Buffer): boolean;
  /** Clusters where keys of the type are still made; those made earlier or elsewhere work everywhere. */
  readonly newKeys?: ClusterSelection;
}

/** THE row per type of secret key (reference section 8). */
const types: readonly SecretKeyType[] = [
  {
    keyType: CKK.CKK_AES,
    generation: CKM.CKM_AES_KEY_GEN,
    name: 'AES key',
    lengthsBytes: [16, 24, 32],
  },
  {
    keyType: CKK.CKK_DES3,
    generation: CKM.CKM_DES3_KEY_GEN,
    name: 'Triple DES key',
    lengthsBytes: [24],
    // "DES3 keys must always have their parity bits properly set" (v2.40 mechanisms, 2.16.2). CloudHSM does not say.
    finish: setOddParity,
    isSound: hasOddParity,
    // "FIPS clusters: no new keys since 2024; existing may decrypt". Keys that are imported or unwrapped exist already.
    newKeys: nonFips,
  },
  {
    keyType: CKK.CKK_GENERIC_SECRET,
    generation: CKM.CKM_GENERIC_SECRET_KEY_GEN,
    name: 'generic secret',
    lengthsBytes: { from: 1, to: 800 },
  },
];

const byKeyType = new Map(types.map((type) => [type.keyType, type]));

/** Throws CKR_TEMPLATE_INCONSISTENT for a type that is no secret key's. */
export function secretKeyType(keyType: number): SecretKeyType {
  const type = byKeyType.get(keyType);
  if (type === undefined)
    throw ckr('CKR_TEMPLATE_INCONSISTENT', `CloudHSM has no secret keys of type ${keyType}`);
  return type;
}

/** The smallest and the largest key of a type, in bytes. */
export function secretKeySizes(keyType: number): { minKeySize: number; maxKeySize: number } {
  const { lengthsBytes } = secretKeyType(keyType);
  const { from, to } =
    'from' in lengthsBytes ? lengthsBytes : { from: lengthsBytes[0]!, to: lengthsBytes.at(-1)! };
  return { minKeySize: from, maxKeySize: to };
}

/** Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkSecretKeyLength(keyType: number, lengthBytes: number): void {
  const { name, lengthsBytes } = secretKeyType(keyType);
  const isRange = 'from' in lengthsBytes;
  const fits = isRange
    ? lengthBytes >= lengthsBytes.from && lengthBytes <= lengthsBytes.to
    : lengthsBytes.includes(lengthBytes);
  if (fits) return;
  const allowed = isRange ? `${lengthsBytes.from} to ${lengthsBytes.to}` : lengthsBytes.join(', ');
  throw ckr(
    'CKR_ATTRIBUTE_VALUE_INVALID',
    `a ${name} has ${allowed} bytes: CKA_VALUE or CKA_VALUE_LEN says ${lengthBytes}`,
  );
}

/** Bytes that a program brings along as a key. Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkSecretKey(keyType: number, bytes: Buffer): void {
  checkSecretKeyLength(keyType, bytes.length);
  const { name, isSound } = secretKeyType(keyType);
  if (isSound?.(bytes) === false)
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `the ${name} has bytes of even parity: set the parity bits`);
}

/** Bytes of a key that the HSM makes: CKA_VALUE_LEN where the type has several lengths. Throws
 * CKR_TEMPLATE_INCOMPLETE or CKR_ATTRIBUTE_VALUE_INVALID. */
export function newSecretKeyLength(keyType: number, template: Template): number {
  const { lengthsBytes } = secretKeyType(keyType);
  if (!('from' in lengthsBytes) && lengthsBytes.length === 1) return lengthsBytes[0]!;
  const lengthBytes = templateUlong(template, CKA.CKA_VALUE_LEN);
  if (lengthBytes === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_VALUE_LEN');
  checkSecretKeyLength(keyType, lengthBytes);
  return lengthBytes;
}

/** Throws CKR_TEMPLATE_INCONSISTENT where clusters of this kind make no more keys of the type. */
export function requireNewKeys(keyType: number, kind: ClusterKind): void {
  const { name, newKeys } = secretKeyType(keyType);
  if (isSelected(newKeys ?? {}, kind)) return;
  throw ckr('CKR_TEMPLATE_INCONSISTENT', `a ${kind.mode} cluster makes no new ${name}`);
}

/** Random or derived bytes as a key of the type, in place. */
export function finishedSecretKey(keyType: number, bytes: Buffer): Buffer {
  secretKeyType(keyType).finish?.(bytes);
  return bytes;
}

export const secretKeyGenerations: readonly MechanismRow[] = types.map(
  ({ keyType, generation, newKeys }) => ({
    type: generation,
    ...secretKeySizes(keyType),
    ...(newKeys && { only: { generateKey: newKeys } }),
    generateKey: {
      keyType,
      generate: (template) => finishedSecretKey(keyType, randomBytes(newSecretKeyLength(keyType, template))),
    },
  }),
);
