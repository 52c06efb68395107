import { refused } from './failure.js';

/** PEM (RFC 7468): lines of 64 characters. */
export function toPem(label: string, der: Uint8Array): string {
  const lines = Buffer.from(der)
    .toString('base64')
    .replace(/.{64}(?!$)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** The DER of the first block of a label. Throws REFUSED. */
export function fromPem(label: string, pem: string): Buffer {
  const block = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`).exec(pem);
  const der = Buffer.from(block?.[1] ?? '', 'base64');
  if (der.length === 0) throw refused(`there is no PEM block ${label}`);
  return der;
}
