import type { HsmType } from '../base/cluster-kind.js';
import { limits } from '../base/limits.js';
import { endsInNul, hashPassword } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';

/** THE row per type of HSM (reference management-tools, section 1.3). That `admin` and `app_user` count is a guess, and so is
 * that the older, shorter password is the older HSM's. */
export const userRules: {
  readonly [Type in HsmType]: { readonly users: number; readonly passwordMinCharacters: number };
} = {
  'hsm1.medium': { users: 250, passwordMinCharacters: 7 },
  'hsm2m.medium': { users: limits.usersPerHsm, passwordMinCharacters: limits.passwordMinCharacters },
};

const nameForm = new RegExp(`^[A-Za-z0-9_]{1,${limits.userNameMaxCharacters}}$`);

/** The form in which a name is kept: names are not case-sensitive. undefined for what is no name. */
export function canonicalName(name: string): string | undefined {
  return name.length <= limits.userNameMaxCharacters && nameForm.test(name) ? name.toLowerCase() : undefined;
}

/** The name of a new user. Throws CKR_ARGUMENTS_BAD. */
export function requireName(name: string): string {
  const canonical = canonicalName(name);
  if (canonical === undefined) {
    const text = `a user name has 1 to ${limits.userNameMaxCharacters} letters, digits or underscores`;
    throw ckr('CKR_ARGUMENTS_BAD', text);
  }
  return canonical;
}

/** Hashes a password that meets CloudHSM's rules. Throws CKR_PIN_LEN_RANGE or CKR_PIN_INVALID otherwise. */
export async function hashNewPassword(
  password: string,
  minCharacters: number = limits.passwordMinCharacters,
): Promise<string> {
  if (password.length < minCharacters || password.length > limits.passwordMaxCharacters) {
    throw ckr(
      'CKR_PIN_LEN_RANGE',
      `a password has ${minCharacters} to ${limits.passwordMaxCharacters} characters`,
    );
  }
  if (endsInNul(password)) throw ckr('CKR_PIN_INVALID', 'a password does not end in NUL');
  return hashPassword(password);
}

/** "The default password is the literal `password`": of the `admin` of a cluster that is not activated (section 1.1). */
export const FIRST_PASSWORD = 'password';
