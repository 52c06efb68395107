import { pem } from '../base/pem.js';
import {
  type Asn1,
  bitString,
  der,
  integer,
  octetString,
  parsed,
  sequence,
  tagged,
} from '../control-plane/identity/der.js';

/*
 * Key files without a key: programs that want a private key's file get one that parses as such, and CloudHSM's OpenSSL engine
 * finds in it which key of the HSM is meant ("fake PEM", reference management-tools, section 9.2). The public half is the real one;
 * where the private one would be stand a magic number and the key's handle. CloudHSM's own layout is not public: this one is
 * ours [guess], and native/openssl/reference.c reads it.
 */

/** The public half of a key that stays in an HSM: big-endian numbers; `parameters` (an OID) and `point` (an OCTET STRING) are DER, as
 * CKA_EC_PARAMS and CKA_EC_POINT have them. */
export type PublicHalf =
  | { readonly type: 'RSA'; readonly modulus: Buffer; readonly publicExponent: Buffer }
  | { readonly type: 'EC'; readonly parameters: Buffer; readonly point: Buffer; readonly orderBytes: number };

export const REFERENCE_MAGIC = Buffer.from('cloudhsm key ref');
const HANDLE_BYTES = 8;
const REFERENCE_BYTES = REFERENCE_MAGIC.length + HANDLE_BYTES;
const MOST_PEM_BYTES = 16 * 1024;

/** The key file that stands for a private key of the HSM: RSAPrivateKey (RFC 8017, A.1.2) or ECPrivateKey (RFC 5915). */
export function referencePem(handle: number, half: PublicHalf): string {
  const reference = Buffer.alloc(REFERENCE_BYTES);
  REFERENCE_MAGIC.copy(reference);
  reference.writeBigUInt64BE(BigInt(handle), REFERENCE_MAGIC.length);
  const one = (): Asn1 => integer(Buffer.of(1));
  if (half.type === 'RSA') {
    const numbers = [Buffer.of(0), half.modulus, half.publicExponent, reference].map(integer);
    return pem('RSA PRIVATE KEY', der(sequence(...numbers, one(), one(), one(), one(), one())));
  }
  const padding = Buffer.alloc(half.orderBytes - REFERENCE_BYTES);
  const point = Buffer.from(parsed(half.point).value as string, 'latin1');
  const numbers = sequence(
    one(),
    octetString(Buffer.concat([padding, reference])),
    tagged(0, parsed(half.parameters)),
    tagged(1, bitString(point)),
  );
  return pem('EC PRIVATE KEY', der(numbers));
}

/** The numbers of an RSAPrivateKey or ECPrivateKey, also within a PrivateKeyInfo (RFC 5958), as OpenSSL 3 writes keys. */
function numbersOf(label: string, encoded: Buffer): Asn1[] | undefined {
  const { value } = parsed(encoded);
  if (!Array.isArray(value)) return undefined;
  if (label !== '') return value;
  const inner = value[2]?.value;
  return typeof inner === 'string' ? numbersOf('inner', Buffer.from(inner, 'latin1')) : undefined;
}

/** The handle in a key file, or undefined where it is another file: a real key's, or none. */
export function handleOfPem(text: string): number | undefined {
  if (text.length > MOST_PEM_BYTES) return undefined;
  const file = /-----BEGIN (RSA |EC |)PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END \1PRIVATE KEY-----/.exec(
    text,
  );
  if (file === null) return undefined;
  let numbers: Asn1[] | undefined;
  try {
    numbers = numbersOf(file[1]!, Buffer.from(file[2]!, 'base64'));
  } catch {
    return undefined;
  }
  // An RSAPrivateKey has nine numbers, and the private exponent is the fourth.
  const secret = numbers?.[numbers.length === 9 ? 3 : 1]?.value;
  if (typeof secret !== 'string' || secret.length < REFERENCE_BYTES) return undefined;
  const bytes = Buffer.from(secret, 'latin1');
  const reference = bytes.subarray(-REFERENCE_BYTES);
  const isPadded = bytes.subarray(0, -REFERENCE_BYTES).every((byte) => byte === 0);
  if (!isPadded || !reference.subarray(0, REFERENCE_MAGIC.length).equals(REFERENCE_MAGIC)) return undefined;
  const handle = reference.readBigUInt64BE(REFERENCE_MAGIC.length);
  return handle <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(handle) : undefined;
}
