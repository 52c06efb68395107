import { refused } from './failure.js';

/** The DER of the first block of a label. Throws REFUSED. */
export function fromPem(label: string, pem: string): Buffer {
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(pem);
  const der = Buffer.from(block?.[1] ?? '', 'base64');
  if (der.length === 0) throw refused(`there is no PEM block ${label}`);
  return der;
}
