import * as z from 'zod';
import { CryptoError, parseCertificate, rsaPrivateComponents, rsaPublicKeyInfo } from '../crypto/index.js';

/*
 * By what clients know the HSMs of a cluster, and of its clones (reference control-plane-and-backups, section 7.1), as settings of each HSM:
 * the key pair that the first HSM made (`cluster-key`, PKCS#8 of an RSA key) and, from the initialisation on, the certificate that the
 * cluster's owner signed for it, with what that verifies under (`cluster-trust`, JSON with both in PEM).
 */

const trustSchema = z.object({ certificate: z.string(), trustAnchor: z.string() });

/** Whether the trust is a certificate for the key, and what it verifies under. */
export function certifies(trust: Buffer, privateKey: Buffer): boolean {
  try {
    const { certificate } = trustSchema.parse(JSON.parse(trust.toString('utf8')));
    const spki = rsaPublicKeyInfo(rsaPrivateComponents(privateKey));
    return parseCertificate(certificate).spki.equals(spki);
  } catch (error) {
    const isMalformed =
      error instanceof CryptoError || error instanceof z.ZodError || error instanceof SyntaxError;
    if (isMalformed) return false;
    throw error;
  }
}
