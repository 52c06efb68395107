import {
  generateRsaKeyPair,
  hashLengthBytes,
  type RsaEncryptionPadding,
  type RsaSignaturePadding,
  repeatableRsa,
  rsaDecrypt,
  rsaEncrypt,
  rsaSign,
  rsaVerify,
} from '../crypto/index.js';
import { CKA } from '../pkcs11/attributes.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { findAttribute, type Template, templateUlong } from '../pkcs11/template.js';
import { hashRows } from './hashes.js';
import {
  badParameter,
  type CipherMechanism,
  type KeyShape,
  type MechanismParameter,
  type MechanismRow,
  nonFips,
  noParameter,
  type SignatureMechanism,
  structParameter,
} from './mechanism.js';
import { modulusBytes, nativeRsa, oaepPadding, pssPadding } from './rsa-padding.js';
import { cipherAsWrap, rsaAesKeyWrap } from './rsa-wrap.js';

/** "RSA: 2048–4096 in steps of 256" (reference section 8), in bits. */
const modulusSizes = { minKeySize: 2048, maxKeySize: 4096 };
const MODULUS_STEP_BITS = 256;
const DEFAULT_EXPONENT = Buffer.from([1, 0, 1]);

function tooLong(lengthBytes: number, limitBytes: number): void {
  if (lengthBytes > limitBytes)
    throw ckr('CKR_DATA_LEN_RANGE', `${lengthBytes} bytes where at most ${limitBytes} fit`);
}

/** One of the three signature mechanisms that reach the HSM; they differ in the padding and the input they take. */
function signature(
  padding: (parameter: MechanismParameter, key: KeyShape) => RsaSignaturePadding,
  check: SignatureMechanism['check'],
  checkInput: NonNullable<SignatureMechanism['checkInput']>,
  prepare: (input: Buffer, key: KeyShape) => Buffer = (input) => input,
): SignatureMechanism {
  return {
    keyTypes: [CKK.CKK_RSA],
    singlePart: true,
    check,
    checkInput,
    signatureLengthBytes: modulusBytes,
    sign: (key, parameter, input) => rsaSign(nativeRsa(key), padding(parameter, key), prepare(input, key)),
    verify: (key, parameter, input, given) =>
      rsaVerify(nativeRsa(key), padding(parameter, key), prepare(input, key), given),
    repeatable: (key, parameter, use) => repeatableRsa(nativeRsa(key), padding(parameter, key), use),
  };
}

/** Raw RSA works on exactly k bytes: shorter input gets zeros in front (v2.40 mechanisms, 2.1.6). */
const leftPadded = (input: Buffer, key: KeyShape): Buffer =>
  input.length === modulusBytes(key)
    ? input
    : Buffer.concat([Buffer.alloc(modulusBytes(key) - input.length), input]);

const pkcs1Signature = signature(
  () => ({ scheme: 'pkcs1' }),
  noParameter,
  (_parameter, key, lengthBytes) => tooLong(lengthBytes, modulusBytes(key) - 11),
);
const rawSignature = signature(
  () => ({ scheme: 'none' }),
  noParameter,
  (_parameter, key, lengthBytes) => tooLong(lengthBytes, modulusBytes(key)),
  leftPadded,
);
const pssSignature = signature(
  pssPadding,
  (parameter, key) => void pssPadding(parameter, key),
  (parameter, key, lengthBytes) => {
    const wanted = hashLengthBytes[pssPadding(parameter, key).hash];
    if (lengthBytes !== wanted)
      throw ckr('CKR_DATA_LEN_RANGE', `a hash of ${lengthBytes} bytes instead of ${wanted}`);
  },
);

/** One of the three encryption mechanisms; `overheadBytes` is what the padding takes of the modulus. */
function cipher(
  padding: (parameter: MechanismParameter) => RsaEncryptionPadding,
  overheadBytes: (parameter: MechanismParameter) => number,
  prepare: (input: Buffer, key: KeyShape) => Buffer = (input) => input,
): CipherMechanism {
  return {
    keyTypes: [CKK.CKK_RSA],
    singlePart: true,
    check: (parameter) => void padding(parameter),
    maxOutputBytes: (direction, _inputBytes, parameter, key) =>
      direction === 'encrypt' ? modulusBytes(key) : modulusBytes(key) - overheadBytes(parameter),
    encrypt: (key, parameter, plaintext) => {
      tooLong(plaintext.length, modulusBytes(key) - overheadBytes(parameter));
      return rsaEncrypt(nativeRsa(key), padding(parameter), prepare(plaintext, key));
    },
    decrypt: (key, parameter, ciphertext) => {
      if (ciphertext.length !== modulusBytes(key)) {
        throw ckr(
          'CKR_ENCRYPTED_DATA_LEN_RANGE',
          `${ciphertext.length} bytes instead of ${modulusBytes(key)}`,
        );
      }
      return rsaDecrypt(nativeRsa(key), padding(parameter), ciphertext);
    },
  };
}

const withoutParameter =
  (scheme: 'pkcs1' | 'none') =>
  (parameter: MechanismParameter): RsaEncryptionPadding => {
    noParameter(parameter);
    return { scheme };
  };

const pkcs1Cipher = cipher(withoutParameter('pkcs1'), () => 11);
const rawCipher = cipher(withoutParameter('none'), () => 0, leftPadded);
const oaepCipher = cipher(oaepPadding, (parameter) => 2 * hashLengthBytes[oaepPadding(parameter).hash] + 2);

/** Throws CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkModulusBits(modulusBits: number): void {
  const { minKeySize, maxKeySize } = modulusSizes;
  if (modulusBits < minKeySize || modulusBits > maxKeySize || modulusBits % MODULUS_STEP_BITS !== 0) {
    throw ckr(
      'CKR_ATTRIBUTE_VALUE_INVALID',
      `a modulus of ${modulusBits} bits: CloudHSM has ${minKeySize} to ${maxKeySize} in steps of ${MODULUS_STEP_BITS}`,
    );
  }
}

function generate(publicTemplate: Template): ReturnType<typeof generateRsaKeyPair> {
  const modulusBits = templateUlong(publicTemplate, CKA.CKA_MODULUS_BITS);
  if (modulusBits === undefined) throw ckr('CKR_TEMPLATE_INCOMPLETE', 'the template has no CKA_MODULUS_BITS');
  checkModulusBits(modulusBits);
  const exponent = findAttribute(publicTemplate, CKA.CKA_PUBLIC_EXPONENT)?.value ?? DEFAULT_EXPONENT;
  checkPublicExponent(exponent);
  return generateRsaKeyPair(modulusBits, exponent);
}

/** "Exponent odd, ≥ 65537" (reference section 8). More than 64 bits serve nobody and cost everybody. Throws
 * CKR_ATTRIBUTE_VALUE_INVALID. */
export function checkPublicExponent(exponent: Buffer): void {
  const value = exponent.length === 0 || exponent.length > 512 ? 0n : BigInt(`0x${exponent.toString('hex')}`);
  if (value >= 65537n && value % 2n === 1n && value < 2n ** 64n) return;
  throw ckr('CKR_ATTRIBUTE_VALUE_INVALID', 'CKA_PUBLIC_EXPONENT must be odd and at least 65537');
}

const generation = { keyType: CKK.CKK_RSA, generate };

const hashed: readonly MechanismRow[] = hashRows.flatMap(
  ({ hash, digest, rsaPkcs, rsaPss, digestInfoPrefix }) => [
    {
      type: rsaPkcs,
      ...modulusSizes,
      hashedSignature: {
        hash,
        base: CKM.CKM_RSA_PKCS,
        prefix: digestInfoPrefix,
        checkHash: noParameter,
      },
    },
    {
      type: rsaPss,
      ...modulusSizes,
      hashedSignature: {
        hash,
        base: CKM.CKM_RSA_PKCS_PSS,
        checkHash: (parameter: MechanismParameter) => {
          if (structParameter(parameter, 'CK_RSA_PKCS_PSS_PARAMS').hashAlg !== digest) {
            throw badParameter(`hashAlg is not the mechanism's ${hash}`);
          }
        },
      },
    },
  ],
);

export const rsaMechanisms: readonly MechanismRow[] = [
  { type: CKM.CKM_RSA_PKCS_KEY_PAIR_GEN, ...modulusSizes, generateKeyPair: generation },
  { type: CKM.CKM_RSA_X9_31_KEY_PAIR_GEN, ...modulusSizes, generateKeyPair: generation },
  {
    type: CKM.CKM_RSA_PKCS,
    ...modulusSizes,
    // "Refused in FIPS clusters since 2024-01-01" (reference section 9.2); signatures are not.
    only: { encrypt: nonFips, decrypt: nonFips, wrap: nonFips, unwrap: nonFips },
    signature: pkcs1Signature,
    cipher: pkcs1Cipher,
    wrap: cipherAsWrap(pkcs1Cipher),
  },
  { type: CKM.CKM_RSA_X_509, ...modulusSizes, signature: rawSignature, cipher: rawCipher },
  { type: CKM.CKM_RSA_PKCS_PSS, ...modulusSizes, signature: pssSignature },
  { type: CKM.CKM_RSA_PKCS_OAEP, ...modulusSizes, cipher: oaepCipher, wrap: cipherAsWrap(oaepCipher) },
  { type: CKM.CKM_RSA_AES_KEY_WRAP, ...modulusSizes, wrap: rsaAesKeyWrap },
  ...hashed,
];
