import { constantTimeEqual, hashLengthBytes, hmac, type SecretKey } from '../crypto/index.js';
import { CKK } from '../pkcs11/constants.js';
import { hashRows } from './hashes.js';
import { type MechanismRow, noParameter, type UsableKey } from './mechanism.js';

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

/** Generic secrets of 1–800 bytes (reference section 8). */
export const hmacMechanisms: readonly MechanismRow[] = hashRows.map(({ hmac: type, hash }) => ({
  type,
  minKeySize: 1,
  maxKeySize: 800,
  signature: {
    keyTypes: [CKK.CKK_GENERIC_SECRET],
    check: noParameter,
    signatureLengthBytes: () => hashLengthBytes[hash],
    sign: (key, _parameter, input) => hmac(hash, secretOf(key), input),
    verify: (key, _parameter, input, signature) =>
      constantTimeEqual(hmac(hash, secretOf(key), input), signature),
  },
}));
