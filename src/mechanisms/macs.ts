import {
  cmac,
  constantTimeEqual,
  hashLengthBytes,
  hmac,
  type Repeatable,
  repeatableCmac,
  repeatableHmac,
  type SecretKey,
  type SignatureUse,
} from '../crypto/index.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { hashRows } from './hashes.js';
import { type MechanismRow, noParameter, type SignatureMechanism, type UsableKey } from './mechanism.js';
import { secretKeySizes } from './secret-keys.js';

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;
const CMAC_BYTES = 16;

/** Verifying computes the MAC again. */
function mac(
  keyType: number,
  maxDataBytes: number,
  lengthBytes: number,
  compute: (key: SecretKey, input: Buffer) => Buffer,
  repeatable: (key: SecretKey, use: SignatureUse) => Repeatable,
): SignatureMechanism {
  return {
    keyTypes: [keyType],
    maxDataBytes,
    check: noParameter,
    signatureLengthBytes: () => lengthBytes,
    sign: (key, _parameter, input) => compute(secretOf(key), input),
    verify: (key, _parameter, input, given) => constantTimeEqual(compute(secretOf(key), input), given),
    repeatable: (key, _parameter, use) => repeatable(secretOf(key), use),
  };
}

const hmacs: readonly MechanismRow[] = hashRows.map(({ hmac: type, hash, hmacMaxDataBytes }) => ({
  type,
  ...secretKeySizes(CKK.CKK_GENERIC_SECRET),
  signature: mac(
    CKK.CKK_GENERIC_SECRET,
    hmacMaxDataBytes,
    hashLengthBytes[hash],
    (key, input) => hmac(hash, key, input),
    (key, use) => repeatableHmac(hash, key, use),
  ),
}));

const aesCmac: MechanismRow = {
  type: CKM.CKM_AES_CMAC,
  ...secretKeySizes(CKK.CKK_AES),
  // As CKM_AES_CBC: the guide has no number (reference section 9.3).
  signature: mac(CKK.CKK_AES, 16_272, CMAC_BYTES, cmac, repeatableCmac),
};

export const macMechanisms: readonly MechanismRow[] = [...hmacs, aesCmac];
