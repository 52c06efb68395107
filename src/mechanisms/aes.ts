import { aesDecrypt, aesEncrypt, repeatableAes, type SecretKey } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { gcm, gcmWithIvInside, gcmWrap, gcmWrapWithIvInside } from './aes-gcm.js';
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
/** Stated for CBC (reference section 9.3); the other modes have no row there. */
const MAX_DATA_BYTES = 16_272;

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

const aes: BlockAlgorithm = {
  keyType: CKK.CKK_AES,
  blockBytes: BLOCK_BYTES,
  ecb: CKM.CKM_AES_ECB,
  cbc: CKM.CKM_AES_CBC,
  maxDataBytes: MAX_DATA_BYTES,
  encrypt: aesEncrypt,
  decrypt: aesDecrypt,
  repeatable: repeatableAes,
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

export const aesMechanisms: readonly MechanismRow[] = [
  { type: CKM.CKM_AES_ECB, ...keySizes, cipher: blockCipher(aes, 'ecb', false) },
  { type: CKM.CKM_AES_CBC, ...keySizes, cipher: blockCipher(aes, 'cbc', false) },
  { type: CKM.CKM_AES_CBC_PAD, ...keySizes, cipher: blockCipher(aes, 'cbc', true) },
  { type: CKM.CKM_AES_CTR, ...keySizes, cipher: ctr },
  { type: CKM.CKM_AES_GCM, ...keySizes, cipher: gcm, wrap: gcmWrap },
  {
    type: CKM.CKM_CLOUDHSM_AES_GCM,
    ...keySizes,
    cipher: gcmWithIvInside,
    wrap: gcmWrapWithIvInside,
  },
];
