import forge from 'node-forge';
import {
  digest,
  ecdsaSign,
  generateEcKeyPair,
  importPrivateKey,
  type KeyPairDer,
  randomBytes,
} from '../crypto/index.js';

/*
 * The customer's certificate authority until somebody brings their own. An HSM or a client makes its key and asks for a
 * certificate (`newIdentity`); the authority issues it (`CertificateAuthority`), as it does when a cluster is initialised.
 * P-256 throughout: node-forge builds X.509's structures (RFC 5280), the signatures are the crypto room's.
 */

/** What issues certificates. */
export interface CertificateAuthority {
  /** customerCA.crt, PEM. */
  readonly trustAnchor: string;
  /** Issues a certificate for a key. An HSM's says that it is a server; a client's cannot be mistaken for an HSM's. */
  issue(commonName: string, usage: 'hsm' | 'client', spki: Buffer): Promise<string>;
}

/** A private key and the authority's certificate for it, PEM. */
export interface IssuedIdentity {
  readonly certificate: string;
  readonly privateKey: string;
}

const { asn1 } = forge;
const { Class, Type } = asn1;
type Asn1 = forge.asn1.Asn1;

const oids = {
  commonName: '2.5.4.3',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  serverAuthentication: '1.3.6.1.5.5.7.3.1',
  clientAuthentication: '1.3.6.1.5.5.7.3.2',
} as const;

/** Thirty years: a laptop's cluster is not renewed. */
const VALIDITY_YEARS = 30;

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const node = (type: number, children: Asn1[]): Asn1 => asn1.create(Class.UNIVERSAL, type, true, children);
const leaf = (type: number, value: string): Asn1 => asn1.create(Class.UNIVERSAL, type, false, value);
const sequence = (...children: Asn1[]): Asn1 => node(Type.SEQUENCE, children);
const oid = (value: string): Asn1 => leaf(Type.OID, asn1.oidToDer(value).getBytes());
const tagged = (tag: number, child: Asn1): Asn1 => asn1.create(Class.CONTEXT_SPECIFIC, tag, true, [child]);
const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');
const parsed = (bytes: Uint8Array): Asn1 => asn1.fromDer(binary(bytes));
const bitString = (bytes: Uint8Array): Asn1 => leaf(Type.BITSTRING, `\0${binary(bytes)}`);

/** A positive INTEGER, as short as DER wants it. */
function integer(bytes: Uint8Array): Asn1 {
  const first = bytes.findIndex((byte) => byte !== 0);
  const significant = Buffer.from(first < 0 ? [0] : bytes.subarray(first));
  return leaf(Type.INTEGER, ((significant[0] ?? 0) >= 0x80 ? '\0' : '') + binary(significant));
}

function name(commonName: string): Asn1 {
  return sequence(node(Type.SET, [sequence(oid(oids.commonName), leaf(Type.UTF8, commonName))]));
}

function time(date: Date): Asn1 {
  return leaf(Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const words = critical ? [leaf(Type.BOOLEAN, '\xff')] : [];
  return sequence(oid(id), ...words, leaf(Type.OCTETSTRING, binary(der(value))));
}

/** KeyUsage bits, from the first: digitalSignature 0x80, keyCertSign 0x04. */
const keyUsage = (bits: number): Asn1 =>
  extension(oids.keyUsage, true, leaf(Type.BITSTRING, String.fromCharCode(bits === 0x04 ? 2 : 7, bits)));

const extensions = {
  authority: (): Asn1[] => [
    extension(oids.basicConstraints, true, sequence(leaf(Type.BOOLEAN, '\xff'))),
    keyUsage(0x04),
  ],
  hsm: (): Asn1[] => leafExtensions(oids.serverAuthentication, oids.clientAuthentication),
  client: (): Asn1[] => leafExtensions(oids.clientAuthentication),
};

function leafExtensions(...purposes: string[]): Asn1[] {
  return [
    extension(oids.basicConstraints, true, sequence()),
    keyUsage(0x80),
    extension(oids.extendedKeyUsage, false, sequence(...purposes.map(oid))),
  ];
}

/** ECDSA-Sig-Value (RFC 5480, appendix A) over SHA-256. */
async function signed(privateKey: Buffer, bytes: Buffer): Promise<Buffer> {
  const key = importPrivateKey(privateKey);
  const rs = await ecdsaSign(key, digest('sha256', bytes));
  key.destroy();
  return der(sequence(integer(rs.subarray(0, rs.length / 2)), integer(rs.subarray(rs.length / 2))));
}

const pem = (label: string, bytes: Uint8Array): string => {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .replace(/.{64}(?!$)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
};

interface ToIssue {
  readonly issuer: string;
  readonly subject: string;
  readonly usage: keyof typeof extensions;
  readonly spki: Buffer;
}

async function certificate(issuerKey: Buffer, { issuer, subject, usage, spki }: ToIssue): Promise<string> {
  const from = new Date();
  // Clocks of two machines may differ.
  from.setUTCDate(from.getUTCDate() - 1);
  const to = new Date(from);
  to.setUTCFullYear(to.getUTCFullYear() + VALIDITY_YEARS);
  const algorithm = (): Asn1 => sequence(oid(oids.ecdsaWithSha256));
  const toBeSigned = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm(),
    name(issuer),
    sequence(time(from), time(to)),
    name(subject),
    parsed(spki),
    tagged(3, sequence(...extensions[usage]())),
  );
  const signature = await signed(issuerKey, der(toBeSigned));
  return pem('CERTIFICATE', der(sequence(toBeSigned, algorithm(), bitString(signature))));
}

const newKey = async (): Promise<KeyPairDer> => generateEcKeyPair('P-256');

/** A new key with the authority's certificate for it. */
export async function newIdentity(
  authority: CertificateAuthority,
  commonName: string,
  usage: 'hsm' | 'client',
): Promise<IssuedIdentity> {
  const { pkcs8, spki } = await newKey();
  const privateKey = pem('PRIVATE KEY', pkcs8);
  pkcs8.fill(0);
  return { certificate: await authority.issue(commonName, usage, spki), privateKey };
}

/** An authority with a new key, which ends with the process: whoever comes later brings an authority of their own. */
export async function newStandInAuthority(
  subject: string,
): Promise<CertificateAuthority & { forget(): void }> {
  const { pkcs8, spki } = await newKey();
  const trustAnchor = await certificate(pkcs8, { issuer: subject, subject, usage: 'authority', spki });
  return {
    trustAnchor,
    issue: (commonName, usage, key) =>
      certificate(pkcs8, { issuer: subject, subject: commonName, usage, spki: key }),
    forget: () => pkcs8.fill(0),
  };
}
