import {
  curveByName,
  curveByOid,
  ecPublicComponents,
  ecPublicKeyInfo,
  rsaPublicComponents,
  rsaPublicKeyInfo,
} from '../../crypto/index.js';
import { CKA } from '../../pkcs11/attributes.js';
import { CKK, CKO } from '../../pkcs11/constants.js';
import { attribute, type Template } from '../../pkcs11/template.js';
import { refused } from '../failure.js';
import type { PublicHalf } from '../reference-pem.js';
import type { KeyAttributes } from '../sdk3/attributes.js';

/** An uncompressed point inside the OCTET STRING that CKA_EC_POINT is. */
const pointIn = (octetString: Buffer): Buffer => octetString.subarray(octetString[1] === 0x81 ? 3 : 2);

function octetString(point: Buffer): Buffer {
  const length = point.length < 0x80 ? [point.length] : [0x81, point.length];
  return Buffer.concat([Buffer.from([0x04, ...length]), point]);
}

function required(attributes: KeyAttributes, type: number): Buffer {
  const value = attributes.bytes(type);
  if (value === undefined) throw refused('Error: the public half of the key cannot be read');
  return value;
}

/** The public half of a key of a pair. Throws REFUSED for other keys. */
export function publicHalf(attributes: KeyAttributes): PublicHalf {
  if (attributes.keyType === CKK.CKK_RSA)
    return {
      type: 'RSA',
      modulus: required(attributes, CKA.CKA_MODULUS),
      publicExponent: required(attributes, CKA.CKA_PUBLIC_EXPONENT),
    };
  if (attributes.keyType !== CKK.CKK_EC) throw refused('Error: it is neither an RSA nor an EC key');
  const parameters = required(attributes, CKA.CKA_EC_PARAMS);
  const curve = curveByOid(parameters);
  if (curve === undefined) throw refused('Error: keys on this curve have no such file');
  const point = required(attributes, CKA.CKA_EC_POINT);
  return { type: 'EC', parameters, point, orderBytes: curve.orderLengthBytes };
}

/** SubjectPublicKeyInfo of a public key. Throws REFUSED for other keys. */
export function spkiOf(attributes: KeyAttributes): Buffer {
  if (attributes.objectClass !== CKO.CKO_PUBLIC_KEY) throw refused('Error: -k: it is no public key');
  const half = publicHalf(attributes);
  return half.type === 'RSA'
    ? rsaPublicKeyInfo(half)
    : ecPublicKeyInfo(curveByOid(half.parameters)!.name, pointIn(half.point));
}

/** What makes an object of a SubjectPublicKeyInfo. Throws CryptoError for what is none of a key that HSMs have. */
export function publicKeyTemplate(spki: Buffer): { readonly keyType: number; readonly template: Template } {
  // id-ecPublicKey (RFC 5480).
  if (spki.subarray(0, 32).includes(Buffer.from('2a8648ce3d0201', 'hex'))) {
    const { curve, point } = ecPublicComponents(spki);
    const parameters = curveByName(curve).oid;
    return {
      keyType: CKK.CKK_EC,
      template: [attribute(CKA.CKA_EC_PARAMS, parameters), attribute(CKA.CKA_EC_POINT, octetString(point))],
    };
  }
  const { modulus, publicExponent } = rsaPublicComponents(spki);
  return {
    keyType: CKK.CKK_RSA,
    template: [attribute(CKA.CKA_MODULUS, modulus), attribute(CKA.CKA_PUBLIC_EXPONENT, publicExponent)],
  };
}
