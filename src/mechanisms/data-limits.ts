import { ckr } from '../pkcs11/ckr.js';
import type {
  CipherMechanism,
  Direction,
  KeyShape,
  MechanismParameter,
  SignatureMechanism,
} from './mechanism.js';

/*
 * How much data one request to an HSM may hold: "an error, never truncation" (reference section 9.3, whose numbers are in the
 * rows). The HSM refuses more, and the library says so before it sends it.
 */

export const tooMuchData = (direction: Direction | 'sign', lengthBytes: number, maxBytes: number): Error =>
  ckr(
    direction === 'decrypt' ? 'CKR_ENCRYPTED_DATA_LEN_RANGE' : 'CKR_DATA_LEN_RANGE',
    `${lengthBytes} bytes where one request to an HSM holds ${maxBytes}: split the data`,
  );

/** What a key derivation mixes in besides keys. The guide has no number: this is the smallest of the others. */
export const DERIVATION_DATA_BYTES = 16_224;

/** The longest input of a MAC or signature. */
export function longestMessage({ maxDataBytes }: SignatureMechanism): number {
  return maxDataBytes ?? Number.POSITIVE_INFINITY;
}

/** The longest input of a cipher; a ciphertext may be as long as that of the longest plaintext. */
export function longestInput(
  { maxDataBytes, maxOutputBytes }: CipherMechanism,
  direction: Direction,
  parameter: MechanismParameter,
  key: KeyShape,
): number {
  if (maxDataBytes === undefined) return Number.POSITIVE_INFINITY;
  return direction === 'encrypt' ? maxDataBytes : maxOutputBytes('encrypt', maxDataBytes, parameter, key);
}
