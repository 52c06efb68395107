import { ckr } from '../pkcs11/ckr.js';
import { mechanismName } from '../pkcs11/mechanisms.js';
import { aesMechanisms } from './aes.js';
import { digestMechanisms } from './digests.js';
import { ecdsaMechanisms } from './ecdsa.js';
import { genericSecretMechanisms } from './generic-secret.js';
import { hmacMechanisms } from './hmac.js';
import type { CipherMechanism, ClusterMode, MechanismRow, SignatureMechanism } from './mechanism.js';
import { rsaMechanisms } from './rsa.js';

/** Every mechanism there is, in the order C_GetMechanismList gives them. */
const rows = new Map<number, MechanismRow>(
  [
    ...rsaMechanisms,
    ...ecdsaMechanisms,
    ...aesMechanisms,
    ...genericSecretMechanisms,
    ...hmacMechanisms,
    ...digestMechanisms,
  ].map((row) => [row.type, row]),
);

export function mechanismList(): number[] {
  return [...rows.keys()];
}

/** The row of a mechanism. Throws CKR_MECHANISM_INVALID. */
export function mechanismRow(type: number): MechanismRow {
  const row = rows.get(type);
  if (row === undefined)
    throw ckr('CKR_MECHANISM_INVALID', `CloudHSM has no mechanism ${mechanismName(type)}`);
  return row;
}

/** What a row can do, by the name the rows have for it. Throws CKR_MECHANISM_INVALID where it cannot. */
export function mechanismFor<Part extends keyof MechanismRow>(
  type: number,
  part: Part,
): NonNullable<MechanismRow[Part]> {
  const found = mechanismRow(type)[part];
  if (found === undefined) throw ckr('CKR_MECHANISM_INVALID', `${mechanismName(type)} has no ${part}`);
  return found;
}

/** The cipher of a mechanism in a cluster of this mode. Throws CKR_MECHANISM_INVALID. */
export function cipherFor(type: number, mode: ClusterMode): CipherMechanism {
  const cipher = mechanismFor(type, 'cipher');
  if (cipher.modes?.includes(mode) === false) {
    throw ckr(
      'CKR_MECHANISM_INVALID',
      `${mechanismName(type)} does not encrypt or decrypt in a ${mode} cluster`,
    );
  }
  return cipher;
}

/** The mechanism that signs inside the HSM. Throws CKR_MECHANISM_INVALID. */
export function signatureFor(type: number): SignatureMechanism {
  return mechanismFor(type, 'signature');
}
