import {
  aesGcmDecrypt,
  aesGcmEncrypt,
  randomBytes,
  repeatableAesGcm,
  type SecretKey,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import {
  badParameter,
  type CipherMechanism,
  type MechanismParameter,
  structParameter,
  type UsableKey,
  type WrapMechanism,
} from './mechanism.js';

/*
 * AES-GCM of SP 800-38D in CloudHSM's two forms (reference section 9.4). In both the HSM makes the IV of 12 bytes:
 *
 *                         IV on the way in          IV on the way out         IV for decryption
 *   ----------------------+-------------------------+-------------------------+-----------------------
 *   CKM_AES_GCM           | 12 zero bytes at pIv    | written to pIv          | from pIv
 *   CKM_CLOUDHSM_AES_GCM  | pIv is NULL             | in front of the output  | in front of the input
 */

/** SP 800-38D, section 5.2.1.2, without its lengths for special uses. */
const TAG_BITS = [128, 120, 112, 104, 96];
/** Keys may have one of them: the sample of `key wrap aes-gcm` has 64, and key_mgmt_util's -tag_size is 8 bytes at least (reference
 * management-tools, sections 5.2 and 6.3). */
const WRAP_TAG_BITS = [...TAG_BITS, 64];
const GCM_IV_BYTES = 12;
/** Reference section 9.3. */
const MAX_DATA_BYTES = 16_224;
const GCM_IV_MAX_BYTES = 256;

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

interface Gcm {
  readonly pIv: Buffer;
  readonly pAAD: Buffer;
  readonly tagBytes: number;
}

function gcmOf(parameter: MechanismParameter, lengthsBits = TAG_BITS): Gcm {
  const { pIv, pAAD, ulTagBits } = structParameter(parameter, 'CK_GCM_PARAMS');
  if (!lengthsBits.includes(ulTagBits)) throw badParameter(`a tag of ${ulTagBits} bits`);
  return { pIv, pAAD, tagBytes: ulTagBits / 8 };
}

/** For CKM_AES_GCM, which has an IV. */
function withGivenIv(parameter: MechanismParameter, lengthsBits?: number[]): Gcm {
  const found = gcmOf(parameter, lengthsBits);
  const { length } = found.pIv;
  if (length === 0 || length > GCM_IV_MAX_BYTES) throw badParameter(`an IV of ${length} bytes`);
  return found;
}

/** For CKM_CLOUDHSM_AES_GCM, which has none. */
function withoutIv(parameter: MechanismParameter, lengthsBits?: number[]): Gcm {
  const found = gcmOf(parameter, lengthsBits);
  if (found.pIv.length > 0) throw badParameter('pIv must be NULL: the HSM makes the IV');
  return found;
}

const isLeftOpen = (pIv: Buffer): boolean => pIv.length === GCM_IV_BYTES && pIv.every((byte) => byte === 0);

/** The IV and what is behind it. */
function split(sealed: Buffer): { iv: Buffer; rest: Buffer } {
  return { iv: sealed.subarray(0, GCM_IV_BYTES), rest: sealed.subarray(GCM_IV_BYTES) };
}

function sealWithOwnIv(key: UsableKey, { pAAD, tagBytes }: Gcm, plaintext: Buffer): [Buffer, Buffer] {
  const iv = randomBytes(GCM_IV_BYTES);
  return [iv, aesGcmEncrypt(secretOf(key), iv, pAAD, tagBytes, plaintext)];
}

export const gcm: CipherMechanism = {
  keyTypes: [CKK.CKK_AES],
  maxDataBytes: MAX_DATA_BYTES,
  singlePart: true,
  check: (parameter) => void withGivenIv(parameter),
  maxOutputBytes: (direction, inputBytes, parameter) => {
    const { tagBytes } = gcmOf(parameter);
    return direction === 'encrypt' ? inputBytes + tagBytes : Math.max(0, inputBytes - tagBytes);
  },
  encrypt: (key, parameter, plaintext) => {
    const { pIv, pAAD, tagBytes } = withGivenIv(parameter);
    return aesGcmEncrypt(secretOf(key), pIv, pAAD, tagBytes, plaintext);
  },
  decrypt: (key, parameter, ciphertext) => {
    const { pIv, pAAD, tagBytes } = withGivenIv(parameter);
    if (ciphertext.length < tagBytes) throw ckr('CKR_ENCRYPTED_DATA_LEN_RANGE', 'shorter than its tag');
    return aesGcmDecrypt(secretOf(key), pIv, pAAD, tagBytes, ciphertext);
  },
  ivOf: (parameter) => withGivenIv(parameter).pIv,
  repeatable: (key, parameter, direction, makesIv) => {
    const { pAAD, tagBytes } = withGivenIv(parameter);
    return repeatableAesGcm(secretOf(key), direction, pAAD, tagBytes, makesIv);
  },
  hsmIv: {
    lengthBytes: GCM_IV_BYTES,
    isOpen: (parameter) => isLeftOpen(withGivenIv(parameter).pIv),
    with: (parameter, iv) => ({ ...structParameter(parameter, 'CK_GCM_PARAMS'), pIv: iv }),
  },
};

export const gcmWithIvInside: CipherMechanism = {
  keyTypes: [CKK.CKK_AES],
  maxDataBytes: MAX_DATA_BYTES,
  singlePart: true,
  check: (parameter) => void withoutIv(parameter),
  maxOutputBytes: (direction, inputBytes, parameter) => {
    const extraBytes = GCM_IV_BYTES + gcmOf(parameter).tagBytes;
    return direction === 'encrypt' ? inputBytes + extraBytes : Math.max(0, inputBytes - extraBytes);
  },
  encrypt: (key, parameter, plaintext) => Buffer.concat(sealWithOwnIv(key, withoutIv(parameter), plaintext)),
  decrypt: (key, parameter, sealed) => {
    const { pAAD, tagBytes } = withoutIv(parameter);
    const { iv, rest } = split(sealed);
    if (rest.length < tagBytes) throw ckr('CKR_ENCRYPTED_DATA_LEN_RANGE', 'shorter than its IV and tag');
    return aesGcmDecrypt(secretOf(key), iv, pAAD, tagBytes, rest);
  },
};

/** Keys are wrapped under an IV of the HSM only: never twice under the same one, whatever the program passes. */
export const gcmWrap: WrapMechanism = {
  keyTypes: [CKK.CKK_AES],
  targets: 'any',
  check: (parameter, _key, direction) => {
    const { pIv } = withGivenIv(parameter, WRAP_TAG_BITS);
    if (direction === 'wrap' && !isLeftOpen(pIv))
      throw badParameter('pIv must be 12 zero bytes: the HSM makes the IV');
  },
  wrappedBytes: (_key, parameter, lengthBytes) => lengthBytes + gcmOf(parameter, WRAP_TAG_BITS).tagBytes,
  wrap: (key, parameter, keyBytes) => {
    const [iv, wrapped] = sealWithOwnIv(key, gcmOf(parameter, WRAP_TAG_BITS), keyBytes);
    return { wrapped, iv };
  },
  unwrap: (key, parameter, wrapped) => {
    const { pIv, pAAD, tagBytes } = withGivenIv(parameter, WRAP_TAG_BITS);
    if (wrapped.length < tagBytes) throw ckr('CKR_WRAPPED_KEY_LEN_RANGE', 'shorter than its tag');
    return aesGcmDecrypt(secretOf(key), pIv, pAAD, tagBytes, wrapped);
  },
};

export const gcmWrapWithIvInside: WrapMechanism = {
  keyTypes: [CKK.CKK_AES],
  targets: 'any',
  check: (parameter) => void withoutIv(parameter, WRAP_TAG_BITS),
  wrappedBytes: (_key, parameter, lengthBytes) =>
    lengthBytes + GCM_IV_BYTES + gcmOf(parameter, WRAP_TAG_BITS).tagBytes,
  wrap: (key, parameter, keyBytes) => ({
    wrapped: Buffer.concat(sealWithOwnIv(key, withoutIv(parameter, WRAP_TAG_BITS), keyBytes)),
  }),
  unwrap: (key, parameter, wrapped) => {
    const { pAAD, tagBytes } = withoutIv(parameter, WRAP_TAG_BITS);
    const { iv, rest } = split(wrapped);
    if (rest.length < tagBytes) throw ckr('CKR_WRAPPED_KEY_LEN_RANGE', 'shorter than its IV and tag');
    return aesGcmDecrypt(secretOf(key), iv, pAAD, tagBytes, rest);
  },
};
