import pkcs11js from 'pkcs11js';
import type { TestModule } from './module.js';

export interface Pair {
  readonly publicKey: Buffer;
  readonly privateKey: Buffer;
}

type Template = pkcs11js.Template;

const flags = (types: readonly number[]): Template => types.map((type) => ({ type, value: true }));

/** DER of the named curves' OIDs, as CKA_EC_PARAMS wants them (reference section 8). */
export const curveOids = {
  'P-224': '06052b81040021',
  'P-256': '06082a8648ce3d030107',
  secp256k1: '06052b8104000a',
  'P-384': '06052b81040022',
  'P-521': '06052b81040023',
} as const;

export type Curve = keyof typeof curveOids;

export function generateEc(
  module: TestModule,
  session: Buffer,
  curve: Curve = 'P-256',
  both: Template = [],
): Pair {
  return module.p11.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11js.CKM_EC_KEY_PAIR_GEN },
    [
      { type: pkcs11js.CKA_EC_PARAMS, value: Buffer.from(curveOids[curve], 'hex') },
      ...flags([pkcs11js.CKA_VERIFY]),
      ...both,
    ],
    [...flags([pkcs11js.CKA_SIGN]), ...both],
  );
}

export function generateRsa(
  module: TestModule,
  session: Buffer,
  modulusBits = 2048,
  both: Template = [],
): Pair {
  return module.p11.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11js.CKM_RSA_PKCS_KEY_PAIR_GEN },
    [
      { type: pkcs11js.CKA_MODULUS_BITS, value: modulusBits },
      { type: pkcs11js.CKA_PUBLIC_EXPONENT, value: Buffer.from([1, 0, 1]) },
      ...flags([pkcs11js.CKA_VERIFY, pkcs11js.CKA_ENCRYPT]),
      ...both,
    ],
    [...flags([pkcs11js.CKA_SIGN, pkcs11js.CKA_DECRYPT]), ...both],
  );
}

export function generateAes(
  module: TestModule,
  session: Buffer,
  lengthBytes = 32,
  more: Template = [],
): Buffer {
  return module.p11.C_GenerateKey(session, { mechanism: pkcs11js.CKM_AES_KEY_GEN }, [
    { type: pkcs11js.CKA_VALUE_LEN, value: lengthBytes },
    ...flags([pkcs11js.CKA_ENCRYPT, pkcs11js.CKA_DECRYPT]),
    ...more,
  ]);
}

/** A secret key with a known value, for comparison with node:crypto. */
export function importSecret(module: TestModule, session: Buffer, keyType: number, value: Buffer): Buffer {
  return module.p11.C_CreateObject(session, [
    { type: pkcs11js.CKA_CLASS, value: pkcs11js.CKO_SECRET_KEY },
    { type: pkcs11js.CKA_KEY_TYPE, value: keyType },
    { type: pkcs11js.CKA_VALUE, value },
    ...flags(
      keyType !== pkcs11js.CKK_GENERIC_SECRET
        ? [pkcs11js.CKA_ENCRYPT, pkcs11js.CKA_DECRYPT]
        : [pkcs11js.CKA_SIGN, pkcs11js.CKA_VERIFY],
    ),
  ]);
}

/** One attribute's bytes. */
export function attribute(module: TestModule, session: Buffer, object: Buffer, type: number): Buffer {
  return module.p11.C_GetAttributeValue(session, object, [{ type }])[0]!.value as Buffer;
}

/** The public key in the HSM as node:crypto reads it. */
export function publicKeyOf(
  module: TestModule,
  session: Buffer,
  { publicKey }: Pair,
  curve?: Curve,
): JsonWebKeyInput {
  const value = (type: number): Buffer => attribute(module, session, publicKey, type);
  if (curve === undefined) {
    const n = value(pkcs11js.CKA_MODULUS).toString('base64url');
    const e = value(pkcs11js.CKA_PUBLIC_EXPONENT).toString('base64url');
    return { key: { kty: 'RSA', n, e }, format: 'jwk' };
  }
  const point = value(pkcs11js.CKA_EC_POINT);
  const spki = Buffer.concat([spkiPrefix(curve, point), pointOf(point)]);
  return { key: spki, format: 'der', type: 'spki' };
}

type JsonWebKeyInput =
  | { key: { kty: string; n: string; e: string }; format: 'jwk' }
  | { key: Buffer; format: 'der'; type: 'spki' };

/** The point without the OCTET STRING around it. */
function pointOf(octetString: Buffer): Buffer {
  return octetString.subarray(octetString[1] === 0x81 ? 3 : 2);
}

/** SubjectPublicKeyInfo (RFC 5480) up to the point: id-ecPublicKey, the curve, a BIT STRING. */
function spkiPrefix(curve: Curve, octetString: Buffer): Buffer {
  const der = (tag: number, content: Buffer): Buffer => {
    const length = content.length < 0x80 ? [content.length] : [0x81, content.length];
    return Buffer.concat([Buffer.from([tag, ...length]), content]);
  };
  const algorithm = der(0x30, Buffer.from(`06072a8648ce3d0201${curveOids[curve]}`, 'hex'));
  const point = pointOf(octetString);
  const bitString = der(0x03, Buffer.concat([Buffer.from([0]), point]));
  const whole = der(0x30, Buffer.concat([algorithm, bitString]));
  return whole.subarray(0, whole.length - point.length);
}
