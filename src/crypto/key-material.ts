import type { Eventually } from '../base/eventually.js';
import { type CurveName, curveByOid, curveRow } from './curves.js';
import { native } from './native.js';

// DER <-> components. Numbers are big-endian bytes without leading zeros unless said otherwise; longer input
// is fine.

export interface RsaPublicComponents {
  modulus: Buffer;
  publicExponent: Buffer;
}

export interface RsaPrivateComponents extends RsaPublicComponents {
  privateExponent: Buffer;
  prime1: Buffer;
  prime2: Buffer;
  exponent1: Buffer;
  exponent2: Buffer;
  coefficient: Buffer;
}

/** What is enough to make an RSA private key: the primes and CRT values are optional. */
export type RsaPrivateInput = RsaPublicComponents & {
  privateExponent: Buffer;
} & Partial<RsaPrivateComponents>;

/**
 * The PKCS#8 PrivateKeyInfo of an RSA key. Recovers absent primes (SP 800-56B appendix C), computes absent
 * CRT values, and checks that everything given belongs together. Takes up to some ms, on this thread.
 * @throws CryptoError INVALID_KEY when the numbers are inconsistent
 */
export function rsaPrivateKeyInfo(c: RsaPrivateInput): Buffer {
  return native.rsaPrivateKeyInfo(
    c.modulus,
    c.publicExponent,
    c.privateExponent,
    c.prime1,
    c.prime2,
    c.exponent1,
    c.exponent2,
    c.coefficient,
  );
}

/**
 * The SubjectPublicKeyInfo of an RSA key.
 * @throws CryptoError INVALID_KEY unless the modulus is odd with 512 to 16384 bits and the exponent odd,
 * above 1 and below the modulus
 */
export function rsaPublicKeyInfo(c: RsaPublicComponents): Buffer {
  return native.rsaPublicKeyInfo(c.modulus, c.publicExponent);
}

/**
 * The numbers inside a PKCS#8 RSA key, as they are there.
 * @throws CryptoError INVALID_KEY or UNSUPPORTED
 */
export function rsaPrivateComponents(pkcs8: Uint8Array): RsaPrivateComponents {
  const parts = native.rsaPrivateComponents(pkcs8);
  return {
    modulus: parts[0]!,
    publicExponent: parts[1]!,
    privateExponent: parts[2]!,
    prime1: parts[3]!,
    prime2: parts[4]!,
    exponent1: parts[5]!,
    exponent2: parts[6]!,
    coefficient: parts[7]!,
  };
}

/**
 * The numbers inside an RSA SubjectPublicKeyInfo.
 * @throws CryptoError INVALID_KEY or UNSUPPORTED
 */
export function rsaPublicComponents(spki: Uint8Array): RsaPublicComponents {
  const parts = native.rsaPublicComponents(spki);
  return { modulus: parts[0]!, publicExponent: parts[1]! };
}

/**
 * The PKCS#8 PrivateKeyInfo (RFC 5915) of an EC key, with the public point inside.
 * @param scalar big-endian, 1..n-1, leading zeros allowed
 * @throws CryptoError INVALID_KEY when the scalar is out of range
 */
export function ecPrivateKeyInfo(curve: CurveName, scalar: Uint8Array): Buffer {
  return native.ecPrivateKeyInfo(curveRow(curve), scalar);
}

/**
 * The SubjectPublicKeyInfo (RFC 5480) of an EC key.
 * @param point uncompressed (04 || X || Y) or compressed (02 or 03 || X); always uncompressed in the result
 * @throws CryptoError INVALID_POINT when it is not on the curve
 */
export function ecPublicKeyInfo(curve: CurveName, point: Uint8Array): Buffer {
  return native.ecPublicKeyInfo(curveRow(curve), point);
}

export interface EcPublicComponents {
  curve: CurveName;
  /** Uncompressed: 04 || X || Y. */
  point: Buffer;
}

export interface EcPrivateComponents extends EcPublicComponents {
  /** Padded to the curve's orderLengthBytes. */
  scalar: Buffer;
}

/**
 * The private value and the public point of a PKCS#8 EC key; the point is computed from the value.
 * @throws CryptoError INVALID_KEY, also when a point inside the key does not belong to the value; UNSUPPORTED
 */
export function ecPrivateComponents(pkcs8: Uint8Array): EcPrivateComponents {
  const parts = native.ecPrivateComponents(pkcs8);
  return { curve: curveByOid(parts[0]!)!.name, scalar: parts[1]!, point: parts[2]! };
}

/**
 * The point of an EC SubjectPublicKeyInfo.
 * @throws CryptoError INVALID_KEY, INVALID_POINT or UNSUPPORTED
 */
export function ecPublicComponents(spki: Uint8Array): EcPublicComponents {
  const parts = native.ecPublicComponents(spki);
  return { curve: curveByOid(parts[0]!)!.name, point: parts[1]! };
}

/** A new key pair: PKCS#8 PrivateKeyInfo and SubjectPublicKeyInfo. Cleanse `pkcs8` when done. */
export interface KeyPairDer {
  pkcs8: Buffer;
  spki: Buffer;
}

const keyPairOf = (parts: Buffer[]): KeyPairDer => ({ pkcs8: parts[0]!, spki: parts[1]! });

/**
 * Generates an RSA key pair on a native thread.
 * @param modulusBits 512 to 16384
 * @param publicExponent big-endian, odd, above 1, shorter than the modulus
 * @throws CryptoError UNSUPPORTED for other sizes and exponents
 */
export async function generateRsaKeyPair(
  modulusBits: number,
  publicExponent: Uint8Array,
): Promise<KeyPairDer> {
  return keyPairOf(await native.generateRsaKeyPair(modulusBits, publicExponent));
}

/** Generates an EC key pair. */
export function generateEcKeyPair(curve: CurveName): Eventually<KeyPairDer> {
  const parts = native.generateEcKeyPair(curveRow(curve));
  return parts instanceof Promise ? parts.then(keyPairOf) : keyPairOf(parts);
}
