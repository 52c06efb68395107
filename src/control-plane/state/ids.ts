import { randomBytes } from '../../crypto/index.js';

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** Ids as all published examples have them: eleven characters of lower-case base32 (reference section 3). */
export function newId(prefix: 'cluster' | 'hsm' | 'backup'): string {
  return `${prefix}-${Array.from(randomBytes(11), (byte) => BASE32[byte % 32]).join('')}`;
}

/** Ids of EC2's things: seventeen hexadecimal digits. */
export function newNetworkId(prefix: 'eni' | 'sg' | 'subnet' | 'vpc'): string {
  return `${prefix}-${randomBytes(9).toString('hex').slice(0, 17)}`;
}
