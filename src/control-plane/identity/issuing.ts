import { pem } from '../../base/pem.js';
import { digest, randomBytes } from '../../crypto/index.js';
import {
  type Asn1,
  binary,
  bitString,
  der,
  extension,
  implicit,
  integer,
  name,
  octetString,
  oids,
  parsed,
  pemBytes,
  type RelativeName,
  type Signer,
  sequence,
  tagged,
  time,
} from './der.js';

const SERIAL_BYTES = 16;
/** Thirty years: a laptop's cluster is not renewed. */
const VALIDITY_YEARS = 30;

export interface ToIssue {
  readonly issuer: readonly RelativeName[];
  readonly subject: readonly RelativeName[];
  readonly spki: Buffer;
  readonly extensions: readonly Asn1[];
}

/** How many bytes tag and length of the DER value at `at` take. */
const headerBytes = (bytes: Buffer, at: number): number =>
  bytes[at + 1]! < 0x80 ? 2 : 2 + (bytes[at + 1]! & 0x7f);

/** SHA-1 of the public key's bits (RFC 5280, section 4.2.1.2, method 1): what stands last in a SubjectPublicKeyInfo, behind
 * the number of unused bits. */
function keyIdentifier(spki: Buffer): Buffer {
  const [algorithm] = parsed(spki).value as Asn1[];
  const at = headerBytes(spki, 0) + der(algorithm!).length;
  return digest('sha1', spki.subarray(at + headerBytes(spki, at) + 1));
}

export const subjectKeyIdentifier = (spki: Buffer): Asn1 =>
  extension(oids.subjectKeyIdentifier, false, octetString(keyIdentifier(spki)));

/** The key's identifier alone: with issuer and serial, a second certificate of the same key would not do. */
export const authorityKeyIdentifier = (issuerSpki: Buffer): Asn1 =>
  extension(oids.authorityKeyIdentifier, false, sequence(implicit(0, binary(keyIdentifier(issuerSpki)))));

/** Issues an X.509 v3 certificate, PEM. */
export function issueCertificate(
  signer: Signer,
  { issuer, subject, spki, extensions }: ToIssue,
): Promise<string> {
  return sign(signer, name(...issuer), name(...subject), parsed(spki), extensions);
}

/** Issues a certificate for the name and the key of a certification request in PEM, as `openssl x509 -req` does. */
export function answerRequest(
  signer: Signer,
  csr: string,
  { issuer, extensions }: Pick<ToIssue, 'issuer' | 'extensions'>,
): Promise<string> {
  const [information] = parsed(pemBytes('CERTIFICATE REQUEST', csr)!).value as Asn1[];
  const [, subject, spki] = information!.value as Asn1[];
  return sign(signer, name(...issuer), subject!, spki!, extensions);
}

async function sign(
  signer: Signer,
  issuer: Asn1,
  subject: Asn1,
  spki: Asn1,
  extensions: readonly Asn1[],
): Promise<string> {
  const from = new Date();
  // Clocks of two machines may differ.
  from.setUTCDate(from.getUTCDate() - 1);
  const to = new Date(from);
  to.setUTCFullYear(to.getUTCFullYear() + VALIDITY_YEARS);
  const toBeSigned = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(randomBytes(SERIAL_BYTES)),
    signer.algorithm(),
    issuer,
    sequence(time(from), time(to)),
    subject,
    spki,
    tagged(3, sequence(...extensions)),
  );
  const signature = await signer.sign(der(toBeSigned));
  return pem('CERTIFICATE', der(sequence(toBeSigned, signer.algorithm(), bitString(signature))));
}

/** A certification request, PEM: whoever has the key asks for a certificate of it. */
export async function certificationRequest(
  signer: Signer,
  subject: readonly RelativeName[],
  spki: Buffer,
): Promise<string> {
  const information = sequence(integer(Buffer.from([0])), name(...subject), parsed(spki), tagged(0));
  const signature = await signer.sign(der(information));
  return pem('CERTIFICATE REQUEST', der(sequence(information, signer.algorithm(), bitString(signature))));
}
