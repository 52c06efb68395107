import { aesDecrypt, aesEncrypt, aesGcmDecrypt, aesGcmEncrypt, type SecretKey } from '../crypto/index.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { templateUlong } from '../pkcs11/template.js';
import { advanceCounter, counterBlocksLeft } from './ctr-counter.js';
import {
  badParameter,
  type CipherMechanism,
  type Direction,
  type MechanismParameter,
  type MechanismRow,
  noParameter,
  structParameter,
  type UsableKey,
} from './mechanism.js';

const BLOCK_BYTES = 16;
/** In bytes, as the standard has it for AES. */
const keySizes = { minKeySize: 16, maxKeySize: 32 };
const KEY_LENGTHS_BYTES = [16, 24, 32];
/** SP 800-38D, section 5.2.1.2, without its lengths for special uses. */
const TAG_BITS = [128, 120, 112, 104, 96];
/** CloudHSM makes the IV, of this length, when the program passes as many zeros (reference section 9.4). */
const GCM_IV_BYTES = 12;
const GCM_IV_MAX_BYTES = 256;

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

function checkAligned(direction: Direction, lengthBytes: number): void {
  if (lengthBytes % BLOCK_BYTES === 0) return;
  throw ckr(
    direction === 'encrypt' ? 'CKR_DATA_LEN_RANGE' : 'CKR_ENCRYPTED_DATA_LEN_RANGE',
    `${lengthBytes} bytes are no whole AES blocks`,
  );
}

function ivOf(parameter: MechanismParameter): Buffer {
  if (!Buffer.isBuffer(parameter) || parameter.length !== BLOCK_BYTES)
    throw badParameter('it must be an IV of 16 bytes');
  return parameter;
}

/** ECB, CBC and CBC_PAD: they differ in the IV and the padding. */
function blockCipher(
  mode: 'ecb' | 'cbc',
  padding: boolean,
  iv: (parameter: MechanismParameter) => Buffer | undefined,
): CipherMechanism {
  return {
    keyTypes: [CKK.CKK_AES],
    check: (parameter) => void iv(parameter),
    maxOutputBytes: (direction, inputBytes) =>
      padding && direction === 'encrypt' ? inputBytes - (inputBytes % BLOCK_BYTES) + BLOCK_BYTES : inputBytes,
    encrypt: (key, parameter, plaintext) => {
      if (!padding) checkAligned('encrypt', plaintext.length);
      return aesEncrypt(secretOf(key), mode, iv(parameter), plaintext, padding);
    },
    decrypt: (key, parameter, ciphertext) => {
      checkAligned('decrypt', ciphertext.length);
      if (padding && ciphertext.length === 0)
        throw ckr('CKR_ENCRYPTED_DATA_LEN_RANGE', 'padded data is never empty');
      return aesDecrypt(secretOf(key), mode, iv(parameter), ciphertext, padding);
    },
    stream: {
      partMechanism: mode === 'ecb' ? CKM.CKM_AES_ECB : CKM.CKM_AES_CBC,
      blockBytes: BLOCK_BYTES,
      holdsLastBlock: (direction) => padding && direction === 'decrypt',
      next: (parameter, direction, input, output) =>
        mode === 'ecb'
          ? parameter
          : Buffer.from((direction === 'encrypt' ? output : input).subarray(-BLOCK_BYTES)),
    },
  };
}

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
  hsmIvBytes: (parameter) => {
    const { pIv } = gcmOf(parameter);
    return pIv.length === GCM_IV_BYTES && pIv.every((byte) => byte === 0) ? GCM_IV_BYTES : undefined;
  },
  withIv: (parameter, iv) => ({ ...structParameter(parameter, 'CK_GCM_PARAMS'), pIv: iv }),
};

const keyGeneration: MechanismRow = {
  type: CKM.CKM_AES_KEY_GEN,
  ...keySizes,
  generateKey: {
    keyType: CKK.CKK_AES,
    lengthBytes: (template) => {
      const lengthBytes = templateUlong(template, CKA.CKA_VALUE_LEN);
      if (lengthBytes === undefined)
        throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_VALUE_LEN');
      checkAesKeyLength(lengthBytes);
      return lengthBytes;
    },
  },
};

/** AES keys have 16, 24 or 32 bytes. Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkAesKeyLength(lengthBytes: number): void {
  if (!KEY_LENGTHS_BYTES.includes(lengthBytes)) {
    throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', `an AES key of ${lengthBytes} bytes`);
  }
}

export const aesMechanisms: readonly MechanismRow[] = [
  keyGeneration,
  {
    type: CKM.CKM_AES_ECB,
    ...keySizes,
    cipher: blockCipher('ecb', false, (parameter) => noParameter(parameter) as undefined),
  },
  { type: CKM.CKM_AES_CBC, ...keySizes, cipher: blockCipher('cbc', false, ivOf) },
  { type: CKM.CKM_AES_CBC_PAD, ...keySizes, cipher: blockCipher('cbc', true, ivOf) },
  { type: CKM.CKM_AES_CTR, ...keySizes, cipher: ctr },
  { type: CKM.CKM_AES_GCM, ...keySizes, cipher: gcm },
];
