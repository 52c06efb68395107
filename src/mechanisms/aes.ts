import { aesDecrypt, aesEncrypt, aesGcmDecrypt, aesGcmEncrypt, type SecretKey } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { type BlockAlgorithm, blockCipher } from './block-ciphers.js';
import { advanceCounter, counterBlocksLeft } from './ctr-counter.js';
import {
  badParameter,
  type CipherMechanism,
  type MechanismParameter,
  type MechanismRow,
  structParameter,
  type UsableKey,
} from './mechanism.js';
import { secretKeySizes } from './secret-keys.js';

const BLOCK_BYTES = 16;
const keySizes = secretKeySizes(CKK.CKK_AES);
/** Stated for CBC and GCM (reference section 9.3); the other modes have no row there. */
const MAX_DATA_BYTES = 16_272;
const GCM_MAX_DATA_BYTES = 16_224;
/** SP 800-38D, section 5.2.1.2, without its lengths for special uses. */
const TAG_BITS = [128, 120, 112, 104, 96];
/** CloudHSM makes the IV, of this length, when the program passes as many zeros (reference section 9.4). */
const GCM_IV_BYTES = 12;
const GCM_IV_MAX_BYTES = 256;

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

const aes: BlockAlgorithm = {
  keyType: CKK.CKK_AES,
  blockBytes: BLOCK_BYTES,
  ecb: CKM.CKM_AES_ECB,
  cbc: CKM.CKM_AES_CBC,
  maxDataBytes: MAX_DATA_BYTES,
  encrypt: aesEncrypt,
  decrypt: aesDecrypt,
};

function counterOf(parameter: MechanismParameter): { cb: Buffer; ulCounterBits: number } {
  const { cb, ulCounterBits } = structParameter(parameter, 'CK_AES_CTR_PARAMS');
  if (ulCounterBits < 1 || ulCounterBits > 128) throw badParameter(`a counter of ${ulCounterBits} bits`);
  return { cb, ulCounterBits };
}

/** A counter that runs over would use a key stream twice: refused, as v2.40 mechanisms 2.8.4 allows. */
function counterCipher(key: UsableKey, parameter: MechanismParameter, data: Buffer): Buffer {
  const { cb, ulCounterBits } = counterOf(parameter);
  if (BigInt(Math.ceil(data.length / BLOCK_BYTES)) > counterBlocksLeft(cb, ulCounterBits)) {
    throw ckr('CKR_DATA_LEN_RANGE', `the counter of ${ulCounterBits} bits would run over`);
  }
  return aesEncrypt(secretOf(key), 'ctr', cb, data, false);
}

const ctr: CipherMechanism = {
  keyTypes: [CKK.CKK_AES],
  maxDataBytes: MAX_DATA_BYTES,
  check: (parameter) => void counterOf(parameter),
  maxOutputBytes: (_direction, inputBytes) => inputBytes,
  encrypt: counterCipher,
  decrypt: counterCipher,
  stream: {
    partMechanism: CKM.CKM_AES_CTR,
    blockBytes: 1,
    holdsLastBlock: () => false,
    keyStreamBytes: (parameter) => {
      const { cb, ulCounterBits } = counterOf(parameter);
      return counterBlocksLeft(cb, ulCounterBits) * BigInt(BLOCK_BYTES);
    },
    next: (parameter, _direction, input) => {
      const { cb, ulCounterBits } = counterOf(parameter);
      const blocks = Math.floor(input.length / BLOCK_BYTES);
      return { layout: 'CK_AES_CTR_PARAMS', ulCounterBits, cb: advanceCounter(cb, ulCounterBits, blocks) };
    },
  },
};

function gcmOf(parameter: MechanismParameter): { pIv: Buffer; pAAD: Buffer; tagBytes: number } {
  const { pIv, pAAD, ulTagBits } = structParameter(parameter, 'CK_GCM_PARAMS');
  if (!TAG_BITS.includes(ulTagBits)) throw badParameter(`a tag of ${ulTagBits} bits`);
  if (pIv.length === 0 || pIv.length > GCM_IV_MAX_BYTES) throw badParameter(`an IV of ${pIv.length} bytes`);
  return { pIv, pAAD, tagBytes: ulTagBits / 8 };
}

const gcm: CipherMechanism = {
  keyTypes: [CKK.CKK_AES],
  maxDataBytes: GCM_MAX_DATA_BYTES,
  check: (parameter) => void gcmOf(parameter),
  maxOutputBytes: (direction, inputBytes, parameter) => {
    const { tagBytes } = gcmOf(parameter);
    return direction === 'encrypt' ? inputBytes + tagBytes : Math.max(0, inputBytes - tagBytes);
  },
  encrypt: (key, parameter, plaintext) => {
    const { pIv, pAAD, tagBytes } = gcmOf(parameter);
    return aesGcmEncrypt(secretOf(key), pIv, pAAD, tagBytes, plaintext);
  },
  decrypt: (key, parameter, ciphertext) => {
    const { pIv, pAAD, tagBytes } = gcmOf(parameter);
    if (ciphertext.length < tagBytes) throw ckr('CKR_ENCRYPTED_DATA_LEN_RANGE', 'shorter than its tag');
    return aesGcmDecrypt(secretOf(key), pIv, pAAD, tagBytes, ciphertext);
  },
  singlePart: true,
  hsmIv: {
    lengthBytes: GCM_IV_BYTES,
    of: (parameter) => gcmOf(parameter).pIv,
    isOpen: (parameter) => {
      const { pIv } = gcmOf(parameter);
      return pIv.length === GCM_IV_BYTES && pIv.every((byte) => byte === 0);
    },
    with: (parameter, iv) => ({ ...structParameter(parameter, 'CK_GCM_PARAMS'), pIv: iv }),
  },
};

export const aesMechanisms: readonly MechanismRow[] = [
  { type: CKM.CKM_AES_ECB, ...keySizes, cipher: blockCipher(aes, 'ecb', false) },
  { type: CKM.CKM_AES_CBC, ...keySizes, cipher: blockCipher(aes, 'cbc', false) },
  { type: CKM.CKM_AES_CBC_PAD, ...keySizes, cipher: blockCipher(aes, 'cbc', true) },
  { type: CKM.CKM_AES_CTR, ...keySizes, cipher: ctr },
  { type: CKM.CKM_AES_GCM, ...keySizes, cipher: gcm },
];
