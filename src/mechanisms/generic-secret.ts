import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { templateUlong } from '../pkcs11/template.js';
import type { MechanismRow } from './mechanism.js';

/** "GENERIC_SECRET: 1–800 bytes" (reference section 8). */
const sizes = { minKeySize: 1, maxKeySize: 800 };

/** Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkGenericSecretLength(lengthBytes: number): void {
  if (lengthBytes < sizes.minKeySize || lengthBytes > sizes.maxKeySize) {
    throw ckr(
      'CKR_ATTRIBUTE_VALUE_INVALID',
      `a generic secret of ${lengthBytes} bytes: 1 to 800 are allowed`,
    );
  }
}

export const genericSecretMechanisms: readonly MechanismRow[] = [
  {
    type: CKM.CKM_GENERIC_SECRET_KEY_GEN,
    ...sizes,
    generateKey: {
      keyType: CKK.CKK_GENERIC_SECRET,
      lengthBytes: (template) => {
        const lengthBytes = templateUlong(template, CKA.CKA_VALUE_LEN);
        if (lengthBytes === undefined)
          throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_VALUE_LEN');
        checkGenericSecretLength(lengthBytes);
        return lengthBytes;
      },
    },
  },
];
