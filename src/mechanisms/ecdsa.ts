import {
  type AsymmetricKey,
  type CurveName,
  curveByName,
  curveByOid,
  ecdsaSign,
  ecdsaVerify,
  generateEcKeyPair,
  hashLengthBytes,
  repeatableEcdsa,
} from '../crypto/index.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKF, CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { findAttribute, type Template } from '../pkcs11/template.js';
import { generateEd25519 } from './eddsa.js';
import { hashRows } from './hashes.js';
import { type KeyShape, type MechanismRow, noParameter, type UsableKey } from './mechanism.js';

/** "EC keygen, ECDSA: 224–521 bits", named curves over prime fields only (reference sections 8 and 9.9). */
export const curveSizes = {
  minKeySize: 224,
  maxKeySize: 521,
  extraFlags: CKF.CKF_EC_F_P | CKF.CKF_EC_NAMEDCURVE | CKF.CKF_EC_UNCOMPRESS,
};

const nativeOf = (key: UsableKey): AsymmetricKey => key.native as AsymmetricKey;
const orderLengthBytes = (key: KeyShape): number => curveByName(key.curve!).orderLengthBytes;

const OBJECT_IDENTIFIER_TAG = 0x06;

/** The curve that the bytes of CKA_EC_PARAMS name. Only the OID form is known: explicit parameters are refused.
 * Throws CKR_DOMAIN_PARAMS_INVALID (reference section 8) or CKR_CURVE_NOT_SUPPORTED. */
export function curveOfParameters(parameters: Buffer): CurveName {
  if (parameters[0] !== OBJECT_IDENTIFIER_TAG)
    throw ckr(
      'CKR_DOMAIN_PARAMS_INVALID',
      "CKA_EC_PARAMS must be the DER of a named curve's OBJECT IDENTIFIER",
    );
  const curve = curveByOid(parameters);
  if (curve === undefined) {
    throw ckr(
      'CKR_CURVE_NOT_SUPPORTED',
      `CKA_EC_PARAMS ${parameters.toString('hex')} names no curve of CloudHSM`,
    );
  }
  return curve.name;
}

function parametersOf(template: Template): Buffer {
  const parameters = findAttribute(template, CKA.CKA_EC_PARAMS);
  if (parameters === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_EC_PARAMS');
  return parameters.value;
}

const keyPairGeneration: MechanismRow = {
  type: CKM.CKM_EC_KEY_PAIR_GEN,
  ...curveSizes,
  generateKeyPair: {
    keyType: CKK.CKK_EC,
    generate: (publicTemplate, kind) => {
      const parameters = parametersOf(publicTemplate);
      return generateEd25519(parameters, kind) ?? generateEcKeyPair(curveOfParameters(parameters));
    },
  },
};

/** "For signatures passed to a token for verification, the signature may have a shorter length" (v2.40 mechanisms, 2.3.1):
 * r and s without their leading zeros, both of the same length. Java's are. */
function padHalves(signature: Buffer, halfBytes: number): Buffer {
  if (signature.length === 0 || signature.length % 2 !== 0 || signature.length >= 2 * halfBytes)
    return signature;
  const half = signature.length / 2;
  const zeros = Buffer.alloc(halfBytes - half);
  return Buffer.concat([zeros, signature.subarray(0, half), zeros, signature.subarray(half)]);
}

/** Longer than any hash by far: the program forgot to hash. */
const LONGEST_HASH_BYTES = 1024;

/** CKM_ECDSA: the input is a hash, cut to the order's length as FIPS 186-5 section 6.4 says; the signature r‖s. */
const ecdsa: MechanismRow = {
  type: CKM.CKM_ECDSA,
  ...curveSizes,
  signature: {
    keyTypes: [CKK.CKK_EC],
    singlePart: true,
    check: noParameter,
    signatureLengthBytes: (key) => 2 * orderLengthBytes(key),
    padSignature: (key, signature) => padHalves(signature, orderLengthBytes(key)),
    checkInput: (_parameter, _key, lengthBytes) => {
      if (lengthBytes === 0 || lengthBytes > LONGEST_HASH_BYTES) {
        throw ckr('CKR_DATA_LEN_RANGE', `CKM_ECDSA takes a hash, not ${lengthBytes} bytes`);
      }
    },
    sign: (key, _parameter, input) => ecdsaSign(nativeOf(key), input),
    verify: (key, _parameter, input, signature) => ecdsaVerify(nativeOf(key), input, signature),
    repeatable: (key, _parameter, use) => repeatableEcdsa(nativeOf(key), LONGEST_HASH_BYTES, use),
  },
};

/** Bits of hash that an hsm2m wants of these curves: "ECDSA with a digest weaker than the curve is refused; raw CKM_ECDSA
 * works" [seen, reference 9.2]. */
const leastHashBits: { readonly [Curve in CurveName]?: number } = { 'P-384': 384, 'P-521': 512 };

const hashed: readonly MechanismRow[] = hashRows.map(({ ecdsa: type, hash }) => ({
  type,
  ...curveSizes,
  hashedSignature: {
    hash,
    base: CKM.CKM_ECDSA,
    isTooWeak: ({ curve }, { hsmType }) =>
      hsmType === 'hsm2m.medium' && hashLengthBytes[hash] * 8 < (leastHashBits[curve!] ?? 0),
  },
}));

export const ecdsaMechanisms: readonly MechanismRow[] = [keyPairGeneration, ecdsa, ...hashed];
