import { Failure } from '../base/errors.js';
import {
  bitLength,
  CryptoError,
  ecPrivateComponents,
  ecPrivateKeyInfo,
  isEd25519,
  rsaPrivateComponents,
  rsaPrivateKeyInfo,
} from '../crypto/index.js';
import { checkModulusBits, checkPublicExponent } from '../mechanisms/rsa.js';
import { checkSecretKey } from '../mechanisms/secret-keys.js';
import { attributeName } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { buildBroughtAlong, buildSecretKey, imported, type NewObject } from './build.js';
import { keyTypeOf, type ObjectKind } from './kinds.js';
import type { Attributes } from './template-validator.js';

function secretKey(kind: ObjectKind, bytes: Buffer): Buffer {
  checkSecretKey(keyTypeOf(kind)!, bytes);
  return Buffer.from(bytes);
}

/** What a wrapped key turns out to be: its canonical DER, or its bytes. Throws CryptoError. */
const unwrappers: { readonly [Kind in ObjectKind]?: (plain: Buffer) => Buffer } = {
  rsaPrivate: (pkcs8) => {
    const components = rsaPrivateComponents(pkcs8);
    checkModulusBits(bitLength(components.modulus));
    checkPublicExponent(components.publicExponent);
    const material = rsaPrivateKeyInfo(components);
    for (const part of Object.values(components)) part.fill(0);
    return material;
  },
  ecPrivate: (pkcs8) => {
    const { curve, scalar } = ecPrivateComponents(pkcs8);
    const material = ecPrivateKeyInfo(curve, scalar);
    scalar.fill(0);
    return material;
  },
  aes: (bytes) => secretKey('aes', bytes),
  des3: (bytes) => secretKey('des3', bytes),
  generic: (bytes) => secretKey('generic', bytes),
};

/** Whether what is wrapped of a key can be unwrapped again. ML-DSA keys cannot (reference section 11.1 has no such column of
 * C_UnwrapKey), and of Ed25519 keys nobody says so: what could not come back does not go out [guess]. */
export function comesBack(kind: ObjectKind, material: Buffer): boolean {
  return unwrappers[kind] !== undefined && !isEd25519(material);
}

/**
 * Builds an object from a C_UnwrapKey template that has passed the validator, and from what was wrapped: PKCS#8 of a private
 * key, the bytes of a secret one. Whatever is wrong with those is CKR_WRAPPED_KEY_INVALID, so that the answer tells nothing
 * of what was decrypted. What the template says of the key itself must be so: CKR_TEMPLATE_INCONSISTENT.
 */
export function buildUnwrapped(kind: ObjectKind, attributes: Attributes, plain: Buffer): NewObject {
  const unwrapper = unwrappers[kind];
  if (unwrapper === undefined) throw ckr('CKR_TEMPLATE_INCONSISTENT', `${kind} keys cannot be unwrapped`);
  let material: Buffer;
  try {
    material = unwrapper(plain);
  } catch (error) {
    if (!(error instanceof CryptoError || error instanceof Failure)) throw error;
    throw ckr('CKR_WRAPPED_KEY_INVALID', `what was wrapped is no ${kind} key of CloudHSM`, error);
  }
  const stated = new Map(attributes);
  const built =
    kind === 'rsaPrivate' || kind === 'ecPrivate'
      ? buildBroughtAlong(kind, attributes, material)
      : buildSecretKey(kind, attributes, material, imported);
  for (const [type, value] of stated) {
    if (built.attributes.get(type)?.equals(value) === false) {
      material.fill(0);
      throw ckr('CKR_TEMPLATE_INCONSISTENT', `${attributeName(type)} is not the unwrapped key's`);
    }
  }
  return built;
}
