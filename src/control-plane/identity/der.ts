import type forge from 'node-forge';
import asn1 from 'node-forge/lib/asn1.js';
import { digest, ecdsaSign, importPrivateKey, rsaSign } from '../../crypto/index.js';

/* The structures of X.509 (RFC 5280) and PKCS#10 (RFC 2986), built by node-forge; signatures are the crypto room's. */

const { Class, Type } = asn1;
export type Asn1 = forge.asn1.Asn1;

export const oids = {
  commonName: '2.5.4.3',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  rsaWithSha256: '1.2.840.113549.1.1.11',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
} as const;

export const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const node = (type: number, children: Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, type, true, children);
const leaf = (type: number, value: string): Asn1 => asn1.create(Class.UNIVERSAL, type, false, value);
export const sequence = (...children: Asn1[]): Asn1 => node(Type.SEQUENCE, children);
export const oid = (value: string): Asn1 => leaf(Type.OID, asn1.oidToDer(value).getBytes());
export const tagged = (tag: number, ...children: Asn1[]): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, true, children);
/** A context tag in place of the value's own. */
export const implicit = (tag: number, value: string): Asn1 =>
  asn1.create(Class.CONTEXT_SPECIFIC, tag, false, value);
export const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
export const parsed = (bytes: Uint8Array): Asn1 => asn1.fromDer(binary(bytes));
export const octetString = (value: Buffer): Asn1 => leaf(Type.OCTETSTRING, binary(value));
export const bitString = (bytes: Uint8Array): Asn1 => leaf(Type.BITSTRING, `\0${binary(bytes)}`);
export const time = (date: Date): Asn1 => leaf(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));

/** A positive INTEGER, as short as DER wants it. */
export function integer(bytes: Uint8Array): Asn1 {
  const first = bytes.findIndex((byte) => byte !== 0);
  const significant = Buffer.from(first < 0 ? [0] : bytes.subarray(first));
  return leaf(Type.INTEGER, ((significant[0] ?? 0) >= 0x80 ? '\0' : '') + binary(significant));
}

/** Names of attributes in a distinguished name, as OpenSSL writes them. */
const attributes = {
  C: { id: oids.country, type: Type.PRINTABLESTRING },
  ST: { id: oids.state, type: Type.UTF8 },
  L: { id: oids.locality, type: Type.UTF8 },
  O: { id: oids.organization, type: Type.UTF8 },
  OU: { id: oids.organizationalUnit, type: Type.UTF8 },
  CN: { id: oids.commonName, type: Type.UTF8 },
} as const;

/** One relative distinguished name; several attributes are a multi-valued one. */
export type RelativeName = Readonly<Partial<Record<keyof typeof attributes, string>>>;

/** A distinguished name. A SET OF has its elements in the order of their bytes (X.690, 11.6). */
export function name(...parts: readonly RelativeName[]): Asn1 {
  return sequence(
    ...parts.map((part) => {
      const values = Object.entries(part).map(([attribute, value]) => {
        const { id, type } = attributes[attribute as keyof typeof attributes];
        return sequence(oid(id), leaf(type, binary(Buffer.from(value))));
      });
      return node(
        Type.SET,
        values.sort((a, b) => der(a).compare(der(b))),
      );
    }),
  );
}

export function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const words = critical ? [leaf(Type.BOOLEAN, '\xff')] : [];
  return sequence(oid(id), ...words, octetString(der(value)));
}

/** RFC 5280, section 4.2.1.9. */
export const basicConstraints = (isAuthority: boolean): Asn1 =>
  extension(oids.basicConstraints, true, sequence(...(isAuthority ? [leaf(Type.BOOLEAN, '\xff')] : [])));

/** Bits of KeyUsage (RFC 5280, section 4.2.1.3), the first one highest. */
const keyUsages = { digitalSignature: 0x80, keyCertSign: 0x04, cRLSign: 0x02 } as const;

export function keyUsage(...usages: (keyof typeof keyUsages)[]): Asn1 {
  const bits = usages.reduce((all, usage) => all | keyUsages[usage], 0);
  const unused = 31 - Math.clz32(bits & -bits);
  return extension(oids.keyUsage, true, leaf(Type.BITSTRING, String.fromCharCode(unused, bits)));
}

/** RFC 5280, section 4.2.1.12. */
export const extendedKeyUsage = (...purposes: string[]): Asn1 =>
  extension(oids.extendedKeyUsage, false, sequence(...purposes.map(oid)));

/** Who signs: an algorithm identifier and what makes signatures of it. */
export interface Signer {
  readonly algorithm: () => Asn1;
  sign(bytes: Buffer): Promise<Buffer>;
}

/** ECDSA-Sig-Value (RFC 5480, appendix A) over SHA-256. */
export const ecSigner = (pkcs8: Buffer): Signer => ({
  algorithm: () => sequence(oid(oids.ecdsaWithSha256)),
  sign: async (bytes) => {
    const key = importPrivateKey(pkcs8);
    const rs = await ecdsaSign(key, digest('sha256', bytes));
    key.destroy();
    return der(sequence(integer(rs.subarray(0, rs.length / 2)), integer(rs.subarray(rs.length / 2))));
  },
});

/** DigestInfo of SHA-256 up to the digest (RFC 8017, section 9.2). */
const SHA256_DIGEST_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex');

/** PKCS#1 v1.5 over SHA-256. */
export const rsaSigner = (pkcs8: Buffer): Signer => ({
  algorithm: () => sequence(oid(oids.rsaWithSha256), leaf(Type.NULL, '')),
  sign: async (bytes) => {
    const key = importPrivateKey(pkcs8);
    const info = Buffer.concat([SHA256_DIGEST_INFO, digest('sha256', bytes)]);
    const signature = await rsaSign(key, { scheme: 'pkcs1' }, info);
    key.destroy();
    return signature;
  },
});

/** The bytes of a PEM block with this label; undefined if there is none. */
export function pemBytes(label: string, text: string): Buffer | undefined {
  const [, body] = text.match(new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`)) ?? [];
  return body === undefined ? undefined : Buffer.from(body, 'base64');
}
