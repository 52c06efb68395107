import asn1 from 'node-forge/lib/asn1.js';
import { certificateBlocks } from '../../base/pem.js';
import { authorityKeyKinds, type Certificate, parseCertificate } from '../../crypto/index.js';
import type { ClusterTrust } from '../hsm-host.js';
import { invalidRequest } from '../service/errors.js';
import { type Asn1, der, oids, parsed, pemBytes } from './der.js';

/* What InitializeCluster asks of the certificates it is given (reference section 7.4). */

const MOST_ANCHORS = 4;
const MOST_ANCHOR_BYTES = 16 * 1024;

/** Algorithms of signatures over SHA-224 to SHA-512. */
const signatureAlgorithms: readonly string[] = [
  ...['1.2.840.113549.1.1.14', '1.2.840.113549.1.1.11', '1.2.840.113549.1.1.12', '1.2.840.113549.1.1.13'],
  ...['1.2.840.10045.4.3.1', '1.2.840.10045.4.3.2', '1.2.840.10045.4.3.3', '1.2.840.10045.4.3.4'],
];
const RSA_PSS = '1.2.840.113549.1.1.10';
const sha2: readonly string[] = [
  ...['2.16.840.1.101.3.4.2.4', '2.16.840.1.101.3.4.2.1'],
  ...['2.16.840.1.101.3.4.2.2', '2.16.840.1.101.3.4.2.3'],
];

const children = (value: Asn1 | undefined): readonly Asn1[] =>
  Array.isArray(value?.value) ? (value.value as Asn1[]) : [];
const oidOf = (value: Asn1 | undefined): string =>
  typeof value?.value === 'string' ? asn1.derToOid(value.value) : '';

/** RSASSA-PSS-params (RFC 4055): the hash and MGF1's hash; without them SHA-1 is meant. */
function isPssWithSha2(parameters: Asn1 | undefined): boolean {
  const field = (tag: number): Asn1 | undefined =>
    children(children(parameters).find(({ type }) => type === tag))[0];
  const hash = oidOf(children(field(0))[0]);
  const maskHash = oidOf(children(children(field(1))[1])[0]);
  return sha2.includes(hash) && sha2.includes(maskHash);
}

interface Read {
  readonly what: string;
  readonly certificate: Certificate;
  readonly isV1: boolean;
  /** Content of extensions by id. */
  readonly extensions: ReadonlyMap<string, Asn1>;
}

function checkAlgorithm(what: string, algorithm: Asn1 | undefined): void {
  const [id, parameters] = children(algorithm);
  const name = oidOf(id);
  const isAllowed = signatureAlgorithms.includes(name) || (name === RSA_PSS && isPssWithSha2(parameters));
  if (!isAllowed)
    throw invalidRequest(
      `${what} is signed with algorithm ${name}: use RSA or ECDSA with SHA-224 to SHA-512.`,
    );
}

const isTagged = (field: Asn1 | undefined, tag: number): boolean =>
  field?.tagClass === asn1.Class.CONTEXT_SPECIFIC && (field.type as number) === tag;

function readExtensions(fields: readonly Asn1[]): ReadonlyMap<string, Asn1> {
  const tagged = fields.find((field) => isTagged(field, 3));
  return new Map(
    children(children(tagged)[0]).map((one) => {
      const parts = children(one);
      return [oidOf(parts[0]), parsed(Buffer.from(parts.at(-1)!.value as string, 'latin1'))];
    }),
  );
}

function read(what: string, pem: string): Read {
  let parts: { certificate: Certificate; fields: readonly Asn1[]; algorithm: Asn1 | undefined };
  let extensions: ReadonlyMap<string, Asn1>;
  try {
    const certificate = parseCertificate(pem);
    const [toBeSigned, algorithm] = children(parsed(certificate.der));
    parts = { certificate, fields: children(toBeSigned), algorithm };
    extensions = readExtensions(parts.fields);
  } catch {
    throw invalidRequest(`${what} is not an X.509 certificate.`);
  }
  const { certificate, fields, algorithm } = parts;
  checkAlgorithm(what, algorithm);
  if (!authorityKeyKinds.includes(certificate.keyKind))
    throw invalidRequest(
      `${what} has a key of kind ${certificate.keyKind}: use RSA of 2048, 3072 or 4096 bits or ECDSA on P-256, P-384 or P-521.`,
    );
  return { what, certificate, isV1: !isTagged(fields[0], 0), extensions };
}

function checkValidity({ what, certificate }: Read, nowMs: number): void {
  if (nowMs >= certificate.notBeforeMs && nowMs <= certificate.notAfterMs) return;
  const [from, to] = [certificate.notBeforeMs, certificate.notAfterMs].map((ms) =>
    new Date(ms).toISOString(),
  );
  throw invalidRequest(`${what} is valid from ${from} to ${to}, not now.`);
}

/** An authority of version 3 says that it is one; one of version 1 cannot. */
function checkAuthority({ what, isV1, extensions }: Read): void {
  if (isV1) return;
  const [isAuthority] = children(extensions.get(oids.basicConstraints));
  if (isAuthority?.type !== asn1.Type.BOOLEAN || isAuthority.value === '\0')
    throw invalidRequest(`${what} must have the extension Basic Constraints with CA:TRUE.`);
  const usage = extensions.get(oids.keyUsage)?.value;
  // Bit 5 of KeyUsage, keyCertSign; the first byte counts unused bits.
  if (typeof usage === 'string' && (usage.charCodeAt(1) & 0x04) === 0)
    throw invalidRequest(`${what} is an authority whose Key Usage does not allow it to sign certificates.`);
}

/** The PEM blocks of a text that has nothing else in it. */
function blocks(what: string, text: string): string[] {
  const found = certificateBlocks(text);
  if (found === undefined) throw invalidRequest(`${what} must be certificates in PEM, and nothing else.`);
  return found;
}

/** One self-signed certificate, or a chain: the issuing authority first, the root last. */
function readAnchors(trustAnchor: string, nowMs: number): readonly Read[] {
  if (Buffer.byteLength(trustAnchor) > MOST_ANCHOR_BYTES)
    throw invalidRequest(`TrustAnchor has more than ${MOST_ANCHOR_BYTES} bytes.`);
  const pems = blocks('TrustAnchor', trustAnchor);
  if (pems.length > MOST_ANCHORS)
    throw invalidRequest(`TrustAnchor has ${pems.length} certificates: at most ${MOST_ANCHORS} are allowed.`);
  const nameOf = (at: number): string =>
    pems.length === 1 ? 'TrustAnchor' : `Certificate ${at + 1} of TrustAnchor`;
  const anchors = pems.map((pem, at) => read(nameOf(at), pem));
  for (const [at, anchor] of anchors.entries()) {
    checkAuthority(anchor);
    checkValidity(anchor, nowMs);
    const { what, certificate } = anchor;
    const next = anchors[at + 1]?.certificate;
    if (certificate.isIssuedBy(certificate) !== (next === undefined))
      throw invalidRequest(
        `${what} ${next === undefined ? 'must be' : 'must not be'} self-signed: the last one is, and only that.`,
      );
    if (next !== undefined && !certificate.isIssuedBy(next))
      throw invalidRequest(
        `${what} is not issued by the one behind it: the issuing authority comes first, the root last.`,
      );
  }
  return anchors;
}

/** The SubjectPublicKeyInfo of a certification request. */
function keyOfRequest(csr: string): Buffer {
  const [information] = children(parsed(pemBytes('CERTIFICATE REQUEST', csr)!));
  return der(children(information)[2]!);
}

/** Throws CloudHsmInvalidRequestException, saying what is wrong with which certificate. */
export function checkClusterTrust(trust: ClusterTrust, csr: string, nowMs: number): void {
  const pems = blocks('SignedCert', trust.certificate);
  if (pems.length > 1) throw invalidRequest('SignedCert must be one certificate.');
  const signed = read('SignedCert', pems[0]!);
  const [issuer] = readAnchors(trust.trustAnchor, nowMs);
  checkValidity(signed, nowMs);
  if (!signed.certificate.spki.equals(keyOfRequest(csr)))
    throw invalidRequest("SignedCert is not for the key of the cluster's certificate signing request.");
  if (!signed.certificate.isIssuedBy(issuer!.certificate))
    throw invalidRequest('SignedCert is not signed by the first certificate of TrustAnchor.');
}
