import {
  aesZeroBlock,
  bitLength,
  CryptoError,
  curveByName,
  des3ZeroBlock,
  digest,
  ecPrivateComponents,
  ecPrivateKeyInfo,
  ecPublicComponents,
  ecPublicKeyInfo,
  ed25519Oid,
  ed25519Point,
  isEd25519,
  type KeyPairDer,
  rsaPrivateComponents,
  rsaPrivateKeyInfo,
  rsaPublicComponents,
  rsaPublicKeyInfo,
  withoutLeadingZeros,
} from '../crypto/index.js';
import { octetString, rawPoint } from '../mechanisms/ec-point.js';
import { curveOfParameters } from '../mechanisms/ecdsa.js';
import { checkModulusBits, checkPublicExponent } from '../mechanisms/rsa.js';
import { checkSecretKey } from '../mechanisms/secret-keys.js';
import { attributeName, CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { boolBytes, sharedUlongBytes, ulongBytes, ulongOf } from '../pkcs11/template.js';
import { checkCertificate } from './certificates.js';
import { boolAttribute, type HsmObject } from './hsm-object.js';
import { isSecret, keyTypeOf, type ObjectKind } from './kinds.js';
import type { Attributes } from './template-validator.js';

/** What becomes an object once the HSM gives it a handle and an owner. */
export interface NewObject {
  /** Where there is `complete`, without what follows from the material. Others may have them as well. */
  readonly attributes: Attributes;
  readonly material: Buffer;
  /** All attributes. Nobody ever looks at those of most session keys. */
  readonly complete?: () => Attributes;
}

/** "first 3 bytes" of an encrypted zero block, or of SHA-1 (reference section 11.5). */
const CHECK_VALUE_BYTES = 3;

/** What is known of a key's material before it became this key. */
export interface History {
  readonly alwaysSensitive: boolean;
  readonly neverExtractable: boolean;
}

/** Material that the HSM has just made. */
export const generated: History = { alwaysSensitive: true, neverExtractable: true };
/** Material that somebody else has had. */
export const imported: History = { alwaysSensitive: false, neverExtractable: false };

/** Material derived from a key is no better kept than that key was (v2.40 mechanisms, 2.3.5 and its like). */
export function derivedFrom(base: HsmObject): History {
  return {
    alwaysSensitive: boolAttribute(base, CKA.CKA_ALWAYS_SENSITIVE),
    neverExtractable: boolAttribute(base, CKA.CKA_NEVER_EXTRACTABLE),
  };
}

/** The attributes that tell where a key came from (v2.40 base, section 4.7). */
function setHistory(attributes: Attributes, { alwaysSensitive, neverExtractable }: History): void {
  const sensitive = attributes.get(CKA.CKA_SENSITIVE);
  const extractable = attributes.get(CKA.CKA_EXTRACTABLE);
  attributes.set(CKA.CKA_ALWAYS_SENSITIVE, boolBytes(alwaysSensitive && sensitive?.[0] === 1));
  if (extractable)
    attributes.set(CKA.CKA_NEVER_EXTRACTABLE, boolBytes(neverExtractable && extractable[0] === 0));
}

function setPublicPart(kind: ObjectKind, attributes: Attributes, spki: Buffer): void {
  if (kind === 'rsaPublic' || kind === 'rsaPrivate') {
    const { modulus, publicExponent } = rsaPublicComponents(spki);
    attributes.set(CKA.CKA_MODULUS, modulus);
    attributes.set(CKA.CKA_PUBLIC_EXPONENT, publicExponent);
    if (kind === 'rsaPublic') attributes.set(CKA.CKA_MODULUS_BITS, ulongBytes(bitLength(modulus)));
    else attributes.delete(CKA.CKA_MODULUS_BITS);
  } else if (kind === 'ecPublic' || kind === 'ecPrivate') {
    setCurvePart(attributes, spki);
  } else {
    // ML-DSA keys have neither readable material nor a check value.
    return;
  }
  attributes.set(CKA.CKA_CHECK_VALUE, digest('sha1', spki).subarray(0, CHECK_VALUE_BYTES));
}

function setCurvePart(attributes: Attributes, spki: Buffer): void {
  if (isEd25519(spki)) {
    attributes.set(CKA.CKA_EC_PARAMS, ed25519Oid);
    // A guess: DER as for the other curves, around the 32 bytes of RFC 8032.
    attributes.set(CKA.CKA_EC_POINT, octetString(ed25519Point(spki)));
    return;
  }
  const { curve, point } = ecPublicComponents(spki);
  attributes.set(CKA.CKA_EC_PARAMS, Buffer.from(curveByName(curve).oid));
  attributes.set(CKA.CKA_EC_POINT, octetString(point));
}

function setSecretPart(kind: ObjectKind, attributes: Attributes, bytes: Buffer): void {
  // Triple DES keys have one length and no attribute for it.
  if (kind !== 'des3') attributes.set(CKA.CKA_VALUE_LEN, sharedUlongBytes(bytes.length));
  if (kind === 'generic') return;
  const block = kind === 'aes' ? aesZeroBlock(bytes) : des3ZeroBlock(bytes);
  attributes.set(CKA.CKA_CHECK_VALUE, block.subarray(0, CHECK_VALUE_BYTES));
}

/** Completes a secret key that was generated, derived or brought along. `bytes` become its material. */
export function buildSecretKey(
  kind: ObjectKind,
  attributes: Attributes,
  bytes: Buffer,
  history: History,
): NewObject {
  setSecretPart(kind, attributes, bytes);
  setHistory(attributes, history);
  return { attributes, material: bytes };
}

/** A secret key that the HSM has just made; `attributes`, which are not changed, are what its template comes to. */
export function newSecretKey(kind: ObjectKind, attributes: Attributes, bytes: Buffer): NewObject {
  const complete = (): Attributes => buildSecretKey(kind, new Map(attributes), bytes, generated).attributes;
  return { attributes, material: bytes, complete };
}

export type PairName = 'rsa' | 'ec' | 'mldsa';

/** Both halves say which ML-DSA it is; the template of the private one may leave it out. */
function shareParameterSet(publicAttributes: Attributes, privateAttributes: Attributes): void {
  const set = publicAttributes.get(CKA.CKA_CLOUDHSM_PARAMETER_SET);
  if (set === undefined) return;
  const stated = privateAttributes.get(CKA.CKA_CLOUDHSM_PARAMETER_SET);
  if (stated !== undefined && !stated.equals(set))
    throw ckr('CKR_TEMPLATE_INCONSISTENT', 'the two templates have different CKA_CLOUDHSM_PARAMETER_SETs');
  privateAttributes.set(CKA.CKA_CLOUDHSM_PARAMETER_SET, set);
}

/** What a template may say of a key that is known otherwise: made now, or brought along. */
const keyParts = [CKA.CKA_EC_PARAMS, CKA.CKA_MODULUS, CKA.CKA_MODULUS_BITS, CKA.CKA_PUBLIC_EXPONENT];

/** A part of a finished key; private keys say nothing of the length of their modulus. */
function keyPart(attributes: Attributes, type: number): Buffer | undefined {
  const modulus = attributes.get(CKA.CKA_MODULUS);
  if (type === CKA.CKA_MODULUS_BITS && modulus) return ulongBytes(bitLength(modulus));
  return attributes.get(type);
}

/** A template that says another thing than the key would leave its program with a key that it did not ask for. Throws
 * CKR_TEMPLATE_INCONSISTENT. */
function requireAsStated(stated: Attributes, attributes: Attributes): void {
  for (const type of keyParts) {
    const value = stated.get(type);
    const own = keyPart(attributes, type);
    if (value === undefined || (own && withoutLeadingZeros(value).equals(withoutLeadingZeros(own)))) continue;
    throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(type)} in the template is not the key's`);
  }
}

/** Completes both halves of a generated key pair. */
export function buildKeyPair(
  name: PairName,
  publicAttributes: Attributes,
  privateAttributes: Attributes,
  { pkcs8, spki }: KeyPairDer,
): { publicKey: NewObject; privateKey: NewObject } {
  shareParameterSet(publicAttributes, privateAttributes);
  const statedPublic = new Map(publicAttributes);
  const statedPrivate = new Map(privateAttributes);
  setPublicPart(`${name}Public`, publicAttributes, spki);
  setPublicPart(`${name}Private`, privateAttributes, spki);
  requireAsStated(statedPublic, publicAttributes);
  requireAsStated(statedPrivate, privateAttributes);
  setHistory(publicAttributes, generated);
  setHistory(privateAttributes, generated);
  return {
    publicKey: { attributes: publicAttributes, material: spki },
    privateKey: { attributes: privateAttributes, material: pkcs8 },
  };
}

const secretTypes: readonly number[] = [
  CKA.CKA_VALUE,
  CKA.CKA_PRIVATE_EXPONENT,
  CKA.CKA_PRIME_1,
  CKA.CKA_PRIME_2,
  CKA.CKA_EXPONENT_1,
  CKA.CKA_EXPONENT_2,
  CKA.CKA_COEFFICIENT,
];

/** Takes the secret attributes out of a template's attributes and hands them to `use`, then cleanses them. */
function withSecrets<T>(attributes: Attributes, use: (value: (type: number) => Buffer | undefined) => T): T {
  const secrets = new Map(secretTypes.map((type) => [type, attributes.get(type)]));
  for (const type of secretTypes) attributes.delete(type);
  try {
    return use((type) => secrets.get(type));
  } finally {
    for (const value of secrets.values()) value?.fill(0);
  }
}

function required(attributes: Attributes, type: number): Buffer {
  const value = attributes.get(type);
  if (value === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', `the template has no ${attributeName(type)}`);
  return value;
}

function secretValue(attributes: Attributes): Buffer {
  return withSecrets(attributes, (value) => Buffer.from(value(CKA.CKA_VALUE)!));
}

/** How each kind of key is put together from the attributes of a C_CreateObject template. */
const importers: { readonly [Kind in ObjectKind]?: (attributes: Attributes) => Buffer } = {
  rsaPublic: (attributes) =>
    rsaPublicKeyInfo({
      modulus: required(attributes, CKA.CKA_MODULUS),
      publicExponent: required(attributes, CKA.CKA_PUBLIC_EXPONENT),
    }),
  ecPublic: (attributes) => {
    const curve = curveOfParameters(required(attributes, CKA.CKA_EC_PARAMS));
    return ecPublicKeyInfo(curve, rawPoint(curve, required(attributes, CKA.CKA_EC_POINT)));
  },
  rsaPrivate: (attributes) =>
    withSecrets(attributes, (value) => {
      const given = {
        prime1: value(CKA.CKA_PRIME_1),
        prime2: value(CKA.CKA_PRIME_2),
        exponent1: value(CKA.CKA_EXPONENT_1),
        exponent2: value(CKA.CKA_EXPONENT_2),
        coefficient: value(CKA.CKA_COEFFICIENT),
      };
      return rsaPrivateKeyInfo({
        modulus: required(attributes, CKA.CKA_MODULUS),
        publicExponent: required(attributes, CKA.CKA_PUBLIC_EXPONENT),
        privateExponent: value(CKA.CKA_PRIVATE_EXPONENT)!,
        ...(Object.fromEntries(Object.entries(given).filter(([, part]) => part !== undefined)) as object),
      });
    }),
  ecPrivate: (attributes) => {
    const curve = curveOfParameters(required(attributes, CKA.CKA_EC_PARAMS));
    return withSecrets(attributes, (value) => ecPrivateKeyInfo(curve, value(CKA.CKA_VALUE)!));
  },
  aes: secretValue,
  des3: secretValue,
  generic: secretValue,
};

/** Keys brought along have the sizes that the HSM makes itself. Looked at before any arithmetic on them: that of a huge
 * modulus would keep everybody waiting. */
function checkImportedSize(kind: ObjectKind, attributes: Attributes): void {
  if (isSecret(kind)) checkSecretKey(keyTypeOf(kind)!, required(attributes, CKA.CKA_VALUE));
  if (kind !== 'rsaPrivate' && kind !== 'rsaPublic') return;
  const modulus = required(attributes, CKA.CKA_MODULUS);
  const modulusBits = bitLength(modulus);
  checkModulusBits(modulusBits);
  checkPublicExponent(required(attributes, CKA.CKA_PUBLIC_EXPONENT));
  for (const type of [CKA.CKA_PUBLIC_EXPONENT, ...secretTypes]) {
    const number = attributes.get(type);
    if (number !== undefined && bitLength(number) > modulusBits) {
      throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `${attributeName(type)} is longer than the modulus`);
    }
  }
}

/** The public half that a private key's DER holds, as SubjectPublicKeyInfo. */
function publicHalf(kind: ObjectKind, material: Buffer): Buffer {
  if (kind === 'rsaPrivate') return rsaPublicKeyInfo(rsaPrivateComponents(material));
  if (kind === 'ecPrivate') {
    const { curve, point } = ecPrivateComponents(material);
    return ecPublicKeyInfo(curve, point);
  }
  return material;
}

/**
 * Builds an object from a C_CreateObject template that has passed the validator. The key in it must be sound:
 * CKR_ATTRIBUTE_VALUE_INVALID otherwise; CKR_CURVE_NOT_SUPPORTED for a curve CloudHSM lacks.
 */
export function buildImported(kind: ObjectKind, attributes: Attributes): NewObject {
  if (kind === 'certificate')
    return { attributes: certificateAttributes(attributes), material: Buffer.alloc(0) };
  const importer = importers[kind];
  if (importer === undefined) throw ckr('CKR_TEMPLATE_INCONSISTENT', `${kind} keys cannot be imported`);
  checkImportedSize(kind, attributes);
  const statedLength = attributes.get(CKA.CKA_VALUE_LEN);
  let material: Buffer;
  try {
    material = importer(attributes);
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `the template holds no sound ${kind} key`, error);
  }
  if (isSecret(kind)) {
    if (statedLength !== undefined && ulongOf(statedLength) !== material.length) {
      throw ckr('CKR_TEMPLATE_INCONSISTENT', 'CKA_VALUE_LEN is not the length of CKA_VALUE');
    }
    return buildSecretKey(kind, attributes, material, imported);
  }
  return buildBroughtAlong(kind, attributes, material);
}

/** Completes an RSA or EC key that was made elsewhere. */
export function buildBroughtAlong(kind: ObjectKind, attributes: Attributes, material: Buffer): NewObject {
  const stated = new Map(attributes);
  const statedPoint = stated.get(CKA.CKA_EC_POINT);
  const spki = publicHalf(kind, material);
  setPublicPart(kind, attributes, spki);
  requireAsStated(stated, attributes);
  if (statedPoint && (kind === 'ecPrivate' || kind === 'ecPublic')) {
    const { curve, point } = ecPublicComponents(spki);
    if (!rawPoint(curve, statedPoint).equals(point))
      throw ckr('CKR_TEMPLATE_INCONSISTENT', "CKA_EC_POINT is not the private key's");
  }
  setHistory(attributes, imported);
  return { attributes, material };
}

/** CKA_CHECK_VALUE of a certificate: "first 3 bytes of SHA-1 of VALUE" (reference section 15). */
function certificateAttributes(attributes: Attributes): Attributes {
  checkCertificate(attributes);
  const value = required(attributes, CKA.CKA_VALUE);
  attributes.set(CKA.CKA_CHECK_VALUE, digest('sha1', value).subarray(0, CHECK_VALUE_BYTES));
  return attributes;
}
