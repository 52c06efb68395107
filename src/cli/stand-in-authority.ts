import { pem } from '../base/pem.js';
import { ecSigner } from '../control-plane/identity/der.js';
import { answerRequest, issueCertificate } from '../control-plane/identity/issuing.js';
import { type IssuedIdentity, useExtensions } from '../control-plane/identity/uses.js';
import { generateEcKeyPair, type KeyPairDer, pkcs8OfPem } from '../crypto/index.js';

/*
 * The customer's certificate authority until somebody brings their own. An HSM or a client makes its key and asks for a
 * certificate (`newIdentity`); the authority issues it (`CertificateAuthority`), as it does when a cluster is initialised.
 * P-256 throughout.
 */

/** What issues certificates. */
export interface CertificateAuthority {
  /** customerCA.crt, PEM. */
  readonly trustAnchor: string;
  /** Issues a certificate for a key. An HSM's says that it is a server; a client's cannot be mistaken for an HSM's. */
  issue(commonName: string, usage: 'hsm' | 'client', spki: Buffer): Promise<string>;
}

interface ToIssue {
  readonly issuer: string;
  readonly subject: string;
  readonly usage: keyof typeof useExtensions;
  readonly spki: Buffer;
}

const certificate = (issuerKey: Buffer, { issuer, subject, usage, spki }: ToIssue): Promise<string> =>
  issueCertificate(ecSigner(issuerKey), {
    issuer: [{ CN: issuer }],
    subject: [{ CN: subject }],
    spki,
    extensions: useExtensions[usage](),
  });

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

/** An authority whose key is here until it is forgotten. */
export interface StandInAuthority extends CertificateAuthority {
  readonly privateKey: string;
  /** Answers the request that a cluster's first HSM has made with the cluster's certificate, PEM. */
  answer(csr: string): Promise<string>;
  forget(): void;
}

/** An authority with a new key. */
export async function newStandInAuthority(subject: string): Promise<StandInAuthority> {
  const { pkcs8, spki } = await newKey();
  const trustAnchor = await certificate(pkcs8, { issuer: subject, subject, usage: 'authority', spki });
  return standInAuthority(subject, { certificate: trustAnchor, privateKey: pem('PRIVATE KEY', pkcs8) });
}

/** The authority that has these: what was written down of one, as a customer keeps a customerCA.key for HSMs that come later. */
export function standInAuthority(
  subject: string,
  { certificate: trustAnchor, privateKey }: IssuedIdentity,
): StandInAuthority {
  const pkcs8 = pkcs8OfPem(privateKey);
  return {
    trustAnchor,
    privateKey,
    issue: (commonName, usage, key) =>
      certificate(pkcs8, { issuer: subject, subject: commonName, usage, spki: key }),
    answer: (csr) =>
      answerRequest(ecSigner(pkcs8), csr, { issuer: [{ CN: subject }], extensions: useExtensions.hsm() }),
    forget: () => pkcs8.fill(0),
  };
}
