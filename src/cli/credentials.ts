import * as z from 'zod';
import { commandFailure } from '../base/errors.js';
import { readFileIfPresent, writePrivateFile } from '../base/files.js';
import { randomBytes } from '../crypto/index.js';
import type { Home } from './home.js';

const account = z.object({ name: z.string(), password: z.string() });
const credentialsSchema = z.object({ admin: account, cryptoUser: account });

/** The users of the default cluster with their generated passwords, kept 0600 in the home. */
export type Credentials = z.infer<typeof credentialsSchema>;

/** 32 letters and digits that are hard to confuse: five bits each, so 18 of them are 90 bits. No more: OpenSSL's
 * engine takes PINs (`crypto_user:` and the password) of up to 32 characters, pkcs11-provider 31 of a PIN in a file. */
const ALPHABET = 'abcdefghijkmnpqrstuvwxyz23456789';
const PASSWORD_CHARACTERS = 18;

function newPassword(): string {
  return Array.from(randomBytes(PASSWORD_CHARACTERS), (byte) => ALPHABET[byte % ALPHABET.length]).join('');
}

/** Throws BAD_CONFIGURATION for a file that is there and not ours. */
export function readCredentials(home: Home): Credentials | undefined {
  const contents = readFileIfPresent(home.credentialsFile);
  if (contents === undefined) return undefined;
  try {
    return credentialsSchema.parse(JSON.parse(contents.toString('utf8')));
  } catch {
    // The parser's own message could quote a password.
    throw commandFailure(
      'BAD_CONFIGURATION',
      `${home.credentialsFile} is not a credentials file of cloudhsm-local`,
    );
  }
}

export function ensureCredentials(home: Home): Credentials {
  const present = readCredentials(home);
  if (present !== undefined) return present;
  const credentials = {
    admin: { name: 'admin', password: newPassword() },
    cryptoUser: { name: 'crypto_user', password: newPassword() },
  };
  writePrivateFile(home.credentialsFile, `${JSON.stringify(credentials, null, 2)}\n`);
  return credentials;
}

/** What C_Login takes. */
export function pinOf({ name, password }: { name: string; password: string }): string {
  return `${name}:${password}`;
}
