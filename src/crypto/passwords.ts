import { type ScryptOptions, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { constantTimeEqual } from './equal.js';
import { CryptoError } from './errors.js';
import { randomBytes } from './random.js';

// scrypt (RFC 7914). Stored as scrypt$N$r$p$salt$hash, salt and hash in base64, so that old passwords still
// verify after the cost is raised.

const derive = promisify<string, Uint8Array, number, ScryptOptions, Buffer>(scrypt);
const cost = { N: 16384, r: 8, p: 1 };
const saltLengthBytes = 16;
const hashLengthBytes = 32;
const storedForm = /^scrypt\$(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]+=*)$/;

/** scrypt begins with an HMAC under the password, which fills that up with zeros (RFC 2104, section 2): it cannot tell a password
 * from the same with NULs behind it. */
export const endsInNul = (password: string): boolean => password.endsWith('\0');

/** A self-describing salted hash of a password, made on a native thread. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltLengthBytes);
  const hash = await derive(password, salt, hashLengthBytes, cost);
  return ['scrypt', cost.N, cost.r, cost.p, salt.toString('base64'), hash.toString('base64')].join('$');
}

/**
 * Whether the password is the one `stored` was made from.
 * @throws CryptoError UNSUPPORTED when `stored` does not come from hashPassword
 */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, N, r, p, salt, expected] = storedForm.exec(stored) ?? [];
  if (salt === undefined || expected === undefined) {
    throw new CryptoError('UNSUPPORTED', 'not a stored password');
  }
  const expectedHash = Buffer.from(expected, 'base64');
  const options = { N: Number(N), r: Number(r), p: Number(p) };
  const hash = await derive(password, Buffer.from(salt, 'base64'), expectedHash.length, options);
  return constantTimeEqual(hash, expectedHash) && !endsInNul(password);
}
