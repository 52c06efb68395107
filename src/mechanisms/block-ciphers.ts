import type { Repeatable, SecretKey } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import {
  badParameter,
  type CipherMechanism,
  type Direction,
  type MechanismParameter,
  noParameter,
  type UsableKey,
} from './mechanism.js';

type Transform = (
  key: SecretKey,
  mode: 'ecb' | 'cbc',
  iv: Buffer | undefined,
  data: Buffer,
  padding: boolean,
) => Buffer;

/** What tells AES from Triple DES. */
export interface BlockAlgorithm {
  readonly keyType: number;
  readonly blockBytes: number;
  /** The mechanisms without padding: operations in parts go on with them. */
  readonly ecb: number;
  readonly cbc: number;
  readonly maxDataBytes: number;
  readonly encrypt: Transform;
  readonly decrypt: Transform;
  readonly repeatable?: (
    key: SecretKey,
    mode: 'ecb' | 'cbc',
    direction: Direction,
    padding: boolean,
  ) => Repeatable | undefined;
}

const secretOf = (key: UsableKey): SecretKey => key.native as SecretKey;

/** ECB, CBC and CBC_PAD: they differ in the IV and the padding. */
export function blockCipher(
  algorithm: BlockAlgorithm,
  mode: 'ecb' | 'cbc',
  padding: boolean,
): CipherMechanism {
  const { blockBytes } = algorithm;
  const ivOf = (parameter: MechanismParameter): Buffer | undefined => {
    if (mode === 'ecb') {
      noParameter(parameter);
      return undefined;
    }
    if (!Buffer.isBuffer(parameter) || parameter.length !== blockBytes)
      throw badParameter(`it must be an IV of ${blockBytes} bytes`);
    return parameter;
  };
  const checkAligned = (direction: Direction, lengthBytes: number): void => {
    if (lengthBytes % blockBytes === 0) return;
    throw ckr(
      direction === 'encrypt' ? 'CKR_DATA_LEN_RANGE' : 'CKR_ENCRYPTED_DATA_LEN_RANGE',
      `${lengthBytes} bytes are no whole blocks of ${blockBytes}`,
    );
  };
  return {
    keyTypes: [algorithm.keyType],
    maxDataBytes: algorithm.maxDataBytes,
    check: (parameter) => void ivOf(parameter),
    maxOutputBytes: (direction, inputBytes) =>
      padding && direction === 'encrypt' ? inputBytes - (inputBytes % blockBytes) + blockBytes : inputBytes,
    encrypt: (key, parameter, plaintext) => {
      if (!padding) checkAligned('encrypt', plaintext.length);
      return algorithm.encrypt(secretOf(key), mode, ivOf(parameter), plaintext, padding);
    },
    decrypt: (key, parameter, ciphertext) => {
      checkAligned('decrypt', ciphertext.length);
      if (padding && ciphertext.length === 0)
        throw ckr('CKR_ENCRYPTED_DATA_LEN_RANGE', 'padded data is never empty');
      return algorithm.decrypt(secretOf(key), mode, ivOf(parameter), ciphertext, padding);
    },
    ...(mode === 'cbc' && { ivOf: (parameter) => ivOf(parameter)! }),
    repeatable: (key, _parameter, direction) =>
      algorithm.repeatable?.(secretOf(key), mode, direction, padding),
    stream: {
      partMechanism: algorithm[mode],
      blockBytes,
      holdsLastBlock: (direction) => padding && direction === 'decrypt',
      next: (parameter, direction, input, output) =>
        mode === 'ecb'
          ? parameter
          : Buffer.from((direction === 'encrypt' ? output : input).subarray(-blockBytes)),
    },
  };
}
