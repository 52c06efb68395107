import {
  aesKeyUnwrap,
  aesKeyWrap,
  CryptoError,
  type KeyWrapMode,
  type SecretKey,
  semiblockBytes,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { badParameter, type MechanismParameter, type MechanismRow, noParameter } from './mechanism.js';

/*
 * CloudHSM's three AES key wraps (reference section 9.5). They differ in what they do to the length of the key:
 *
 *   NO_PAD     KW (RFC 3394): whole semiblocks of 8 bytes, two at least
 *   PKCS5_PAD  KW over the key padded as PKCS#5 does it, to semiblocks; 8 bytes more for a key that needs no padding
 *   ZERO_PAD   KWP (RFC 5649)
 */

interface Padding {
  readonly mode: KeyWrapMode;
  pad(keyBytes: Buffer): Buffer;
  paddedBytes(lengthBytes: number): number;
  /** Throws CryptoError where the padding is not what `pad` makes. */
  unpad(padded: Buffer): Buffer;
}

const asItIs = {
  pad: (bytes: Buffer) => Buffer.from(bytes),
  unpad: (bytes: Buffer) => Buffer.from(bytes),
};

const upToSemiblock = (lengthBytes: number): number =>
  Math.ceil(lengthBytes / semiblockBytes) * semiblockBytes;

function unpadPkcs5(padded: Buffer): Buffer {
  const count = padded.at(-1) ?? 0;
  const sound =
    count >= 1 && count <= semiblockBytes && padded.subarray(-count).every((byte) => byte === count);
  // The integrity check value was right, so whoever wrapped this knew the key: it tells nobody anything.
  if (!sound) throw new CryptoError('DECRYPTION_FAILED', 'the padding is not valid');
  return Buffer.from(padded.subarray(0, padded.length - count));
}

const paddings = {
  none: { mode: 'KW', ...asItIs, paddedBytes: (lengthBytes) => lengthBytes },
  pkcs5: {
    mode: 'KW',
    paddedBytes: (lengthBytes) => upToSemiblock(lengthBytes + 1),
    pad: (bytes) => {
      const count = semiblockBytes - (bytes.length % semiblockBytes);
      return Buffer.concat([bytes, Buffer.alloc(count, count)]);
    },
    unpad: unpadPkcs5,
  },
  zero: { mode: 'KWP', ...asItIs, paddedBytes: upToSemiblock },
} as const satisfies Record<string, Padding>;

/** "IV parameter: NULL, or exactly A6A6A6A6A6A6A6A6". */
const DEFAULT_IV = Buffer.alloc(8, 0xa6);

function defaultIvOnly(parameter: MechanismParameter): void {
  if (parameter === undefined || (Buffer.isBuffer(parameter) && parameter.equals(DEFAULT_IV))) return;
  throw badParameter('its IV is NULL, or 8 bytes A6');
}

function keyWrap(
  type: number,
  padding: Padding,
  check: (parameter: MechanismParameter) => void,
): MechanismRow {
  const { mode, pad, unpad, paddedBytes } = padding;
  const leastBytes = mode === 'KW' ? 2 * semiblockBytes : semiblockBytes;
  return {
    type,
    minKeySize: 16,
    maxKeySize: 32,
    wrap: {
      keyTypes: [CKK.CKK_AES],
      targets: 'any',
      check,
      wrappedBytes: (_key, _parameter, lengthBytes) => {
        const padded = paddedBytes(lengthBytes);
        if (padded % semiblockBytes !== 0 || padded < leastBytes) {
          throw ckr('CKR_KEY_SIZE_RANGE', `the mechanism does not wrap a key of ${lengthBytes} bytes`);
        }
        return padded + semiblockBytes;
      },
      wrap: (key, _parameter, keyBytes) => {
        const padded = pad(keyBytes);
        const wrapped = aesKeyWrap(mode, key.native as SecretKey, padded);
        padded.fill(0);
        return { wrapped };
      },
      unwrap: (key, _parameter, wrapped) => {
        if (wrapped.length % semiblockBytes !== 0 || wrapped.length < leastBytes + semiblockBytes) {
          throw ckr(
            'CKR_WRAPPED_KEY_LEN_RANGE',
            `the mechanism makes no wrapped key of ${wrapped.length} bytes`,
          );
        }
        const padded = aesKeyUnwrap(mode, key.native as SecretKey, wrapped);
        try {
          return unpad(padded);
        } finally {
          padded.fill(0);
        }
      },
    },
  };
}

export const keyWrapMechanisms: readonly MechanismRow[] = [
  keyWrap(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD, paddings.none, defaultIvOnly),
  keyWrap(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD, paddings.pkcs5, defaultIvOnly),
  keyWrap(CKM.CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD, paddings.zero, noParameter),
];
