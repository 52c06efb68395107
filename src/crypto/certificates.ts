import { createPrivateKey, X509Certificate } from 'node:crypto';
import { CryptoError } from './errors.js';

/** An X.509 certificate (RFC 5280) as OpenSSL reads it. */
export interface Certificate {
  readonly der: Buffer;
  /** SubjectPublicKeyInfo. */
  readonly spki: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** `RSA-2048`, `EC-prime256v1`: the kind of key and its size or curve, as OpenSSL names it. */
  readonly keyKind: string;
  /** It says that it may issue others (RFC 5280, section 4.2.1.9). */
  readonly isAuthority: boolean;
  /** Of its subject. */
  readonly commonName: string | undefined;
  /** What else than its key usage says it may be used for (RFC 5280, section 4.2.1.12): object identifiers. */
  readonly extendedKeyUsages: readonly string[];
  /** Whether `issuer` has signed it, and has the name it says. */
  isIssuedBy(issuer: Certificate): boolean;
}

class OpenSslCertificate implements Certificate {
  readonly #x509: X509Certificate;
  readonly der: Buffer;
  readonly spki: Buffer;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly keyKind: string;
  readonly isAuthority: boolean;
  #subject: { readonly commonName: string | undefined } | undefined;

  constructor(encoded: string | Buffer) {
    this.#x509 = new X509Certificate(encoded);
    const { publicKey, raw, validFrom, validTo } = this.#x509;
    this.isAuthority = this.#x509.ca;
    this.der = raw;
    this.spki = publicKey.export({ type: 'spki', format: 'der' });
    this.notBeforeMs = Date.parse(validFrom);
    this.notAfterMs = Date.parse(validTo);
    const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
    this.keyKind = `${publicKey.asymmetricKeyType?.toUpperCase()}-${modulusLength ?? namedCurve}`;
  }

  get commonName(): string | undefined {
    if (this.#subject === undefined) {
      const name: unknown = this.#x509.toLegacyObject().subject?.CN;
      this.#subject = { commonName: typeof name === 'string' ? name : undefined };
    }
    return this.#subject.commonName;
  }

  get extendedKeyUsages(): readonly string[] {
    return this.#x509.keyUsage ?? [];
  }

  isIssuedBy(issuer: OpenSslCertificate): boolean {
    const { subject, publicKey } = issuer.#x509;
    return this.#x509.issuer === subject && this.#x509.verify(publicKey);
  }
}

/** Keys of authorities that CloudHSM accepts: "RSA 2048, 3072, 4096; ECDSA P-256, P-384, P-521" (reference
 * control-plane-and-backups, section 7.4, and management-tools, section 6.2). */
export const authorityKeyKinds: readonly string[] = [
  ...['RSA-2048', 'RSA-3072', 'RSA-4096'],
  ...['EC-prime256v1', 'EC-secp384r1', 'EC-secp521r1'],
];

/**
 * Reads a certificate in PEM or DER.
 * @throws CryptoError UNSUPPORTED when it is none or has a key that OpenSSL does not know
 */
export function parseCertificate(encoded: string | Buffer): Certificate {
  try {
    return new OpenSslCertificate(encoded);
  } catch {
    throw new CryptoError('UNSUPPORTED', 'it is no X.509 certificate that OpenSSL reads');
  }
}

/** Whether a private key, PEM, is the one that a certificate is for. False for what is no key. */
export function certifiesKey(certificate: string | Buffer, privateKey: string): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(createPrivateKey(privateKey));
  } catch {
    return false;
  }
}
