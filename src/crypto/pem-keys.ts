import { createPrivateKey } from 'node:crypto';
import { CryptoError } from './errors.js';

/** The PKCS#8 of a private key in PEM, in whatever form it is there: PKCS#8, PKCS#1 or SEC 1. An encrypted one is refused.
 * @throws CryptoError INVALID_KEY */
export function pkcs8OfPem(pem: string): Buffer {
  try {
    return createPrivateKey({ key: pem, format: 'pem' }).export({ type: 'pkcs8', format: 'der' });
  } catch {
    throw new CryptoError('INVALID_KEY', 'it is no private key in PEM, or an encrypted one');
  }
}
