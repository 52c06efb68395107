/** PEM (RFC 7468): lines of 64 characters. */
export function pem(label: string, bytes: Uint8Array): string {
  const lines = Buffer.from(bytes)
    .toString('base64')
    .replace(/.{64}(?!$)/g, '$&\n');
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}

/** The certificates of a PEM file, each as it stands there; undefined where something else is among them. */
export function certificateBlocks(text: string): string[] | undefined {
  const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
  const found = text.match(block) ?? [];
  return found.length === 0 || text.replace(block, '').trim() !== '' ? undefined : found;
}
