import type { Socket } from 'node:net';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';

/** Who one end of a connection is, all in PEM. */
export interface TlsIdentity {
  readonly certificate: string;
  readonly privateKey: string;
  /** The issuing certificate, which must have signed the other end's. */
  readonly trustAnchor: string;
}

/** What both ends say to node:tls. An HSM's certificate has its id for a name, and clients know addresses: the chain decides,
 * and that the certificate is a server's, which OpenSSL looks at. */
export function tlsOptions({ certificate, privateKey, trustAnchor }: TlsIdentity) {
  return {
    cert: certificate,
    key: privateKey,
    ca: trustAnchor,
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.3',
    rejectUnauthorized: true,
  } as const;
}

/** id-kp-serverAuth (RFC 5280, section 4.2.1.12): only HSMs have it. */
const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';

/** The id in the peer's certificate if it is an HSM's, undefined if it is a client's. */
export function hsmIdOf(socket: TLSSocket): string | undefined {
  const { ext_key_usage: usages, subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const name: unknown = subject?.CN;
  return usages?.includes(SERVER_AUTHENTICATION) && typeof name === 'string' ? name : undefined;
}

/** Whether the peer has the certificate that its cluster was initialised with: all HSMs of such a cluster have it, and its name
 * is that of the first one's hardware (reference control-plane-and-backups, section 7.2). */
export function isClusterCertificate(socket: TLSSocket): boolean {
  const { subject } = socket.getPeerCertificate() as Partial<PeerCertificate>;
  const name: unknown = subject?.CN;
  return typeof name === 'string' && /^HSM:[^:]+:PARTN:/.test(name);
}

/** The certificates that the peer presents, DER, its own first. */
export function presentedBy(socket: TLSSocket): Buffer[] {
  const presented: Buffer[] = [];
  let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (certificate?.raw !== undefined && !presented.some((raw) => raw.equals(certificate!.raw))) {
    presented.push(certificate.raw);
    certificate = certificate.issuerCertificate;
  }
  return presented;
}

/** Requests wait for their answers: nothing is gained by waiting for more to send. */
export function forShortMessages(socket: Socket): void {
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 10_000);
}
