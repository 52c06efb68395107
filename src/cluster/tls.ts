import type { Certificate } from '../crypto/index.js';

/** Who one end of a connection is, all in PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  /** The issuing certificate, which must have signed the other end's. */
  readonly trustAnchor: string;
}

/** id-kp-serverAuth (RFC 5280, section 4.2.1.12): only HSMs have it. */
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

/** The id in a peer's certificate if it is an HSM's, undefined if it is a client's. */
export function hsmIdOf({ extendedKeyUsages, commonName }: Certificate): string | undefined {
  return extendedKeyUsages.includes(SERVER_AUTHENTICATION) ? commonName : undefined;
}

/** Whether it is the certificate that a cluster was initialised with: all HSMs of such a cluster have it, and its name is that of
 * the first one's hardware (reference control-plane-and-backups, section 7.2). */
export function isClusterCertificate({ commonName }: Certificate): boolean {
  return commonName !== undefined && /^HSM:[^:]+:PARTN:/.test(commonName);
}
