import { des3Decrypt, des3Encrypt } from '../crypto/index.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { type BlockAlgorithm, blockCipher } from './block-ciphers.js';
import { type MechanismRow, nonFips } from './mechanism.js';
import { secretKeySizes } from './secret-keys.js';

const des3: BlockAlgorithm = {
  keyType: CKK.CKK_DES3,
  blockBytes: 8,
  ecb: CKM.CKM_DES3_ECB,
  cbc: CKM.CKM_DES3_CBC,
  // Stated for CBC (reference section 9.3); ECB and CBC_PAD have no row there.
  maxDataBytes: 16_280,
  encrypt: des3Encrypt,
  decrypt: des3Decrypt,
};

/** "3DES decrypt: allowed" in FIPS clusters, encryption is not (reference section 9.2). */
const row = { ...secretKeySizes(CKK.CKK_DES3), only: { encrypt: nonFips } };

export const des3Mechanisms: readonly MechanismRow[] = [
  { type: CKM.CKM_DES3_ECB, ...row, cipher: blockCipher(des3, 'ecb', false) },
  { type: CKM.CKM_DES3_CBC, ...row, cipher: blockCipher(des3, 'cbc', false) },
  { type: CKM.CKM_DES3_CBC_PAD, ...row, cipher: blockCipher(des3, 'cbc', true) },
];
