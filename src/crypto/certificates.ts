import { X509Certificate } from 'node:crypto';
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

  constructor(pem: string) {
    this.#x509 = new X509Certificate(pem);
    const { publicKey, raw, validFrom, validTo } = this.#x509;
    this.der = raw;
    this.spki = publicKey.export({ type: 'spki', format: 'der' });
    this.notBeforeMs = Date.parse(validFrom);
    this.notAfterMs = Date.parse(validTo);
    const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
    this.keyKind = `${publicKey.asymmetricKeyType?.toUpperCase()}-${modulusLength ?? namedCurve}`;
  }

  isIssuedBy(issuer: OpenSslCertificate): boolean {
    const { subject, publicKey } = issuer.#x509;
    return this.#x509.issuer === subject && this.#x509.verify(publicKey);
  }
}

/**
 * Reads a certificate in PEM.
 * @throws CryptoError UNSUPPORTED when it is none or has a key that OpenSSL does not know
 */
export function parseCertificate(pem: string): Certificate {
  try {
    return new OpenSslCertificate(pem);
  } catch {
    throw new CryptoError('UNSUPPORTED', 'it is no X.509 certificate that OpenSSL reads');
  }
}
