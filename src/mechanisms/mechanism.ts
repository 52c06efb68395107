import type { Eventually } from '../base/eventually.js';
import type { AsymmetricKey, CurveName, HashName, KeyPairDer, SecretKey } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKF } from '../pkcs11/constants.js';
import type { Mechanism, MechanismParameter } from '../pkcs11/layouts.js';
import type { Template } from '../pkcs11/template.js';

/** FIPS and NON_FIPS clusters differ in what they allow (reference section 9.2). */
export type ClusterMode = 'FIPS' | 'NON_FIPS';

/** What of a key decides sizes and whether a mechanism fits it. */
export interface KeyShape {
  /** CKK_… */
  readonly keyType: number;
  /** Bits of the modulus, the field or the secret. */
  readonly bits: number;
  readonly curve?: CurveName;
}

/** A key ready for work inside the HSM. */
export interface UsableKey extends KeyShape {
  readonly native: AsymmetricKey | SecretKey;
}

/** Signs and verifies, or computes a MAC. Everything arrives in one piece. */
export interface SignatureMechanism {
  readonly keyTypes: readonly number[];
  /** Throws CKR_MECHANISM_PARAM_INVALID or CKR_KEY_SIZE_RANGE: Init decides, Sign only runs. */
  check(parameter: MechanismParameter, key: KeyShape): void;
  signatureLengthBytes(key: KeyShape): number;
  /** Brings a shorter form of a signature, where the standard has one, to its full length. */
  padSignature?(key: KeyShape, signature: Buffer): Buffer;
  /** Throws CKR_DATA_LEN_RANGE. Without it any length will do. */
  checkInput?(parameter: MechanismParameter, key: KeyShape, lengthBytes: number): void;
  sign(key: UsableKey, parameter: MechanismParameter, input: Buffer): Eventually<Buffer>;
  /** `signature` already has the right length. */
  verify(
    key: UsableKey,
    parameter: MechanismParameter,
    input: Buffer,
    signature: Buffer,
  ): Eventually<boolean>;
}

/** A signature over a hash that the client computes, as CloudHSM's library does (reference section 0). */
export interface HashedSignature {
  readonly hash: HashName;
  /** The mechanism that the HSM is asked for. */
  readonly base: number;
  /** What the HSM is given for the hash: the DigestInfo around it, or the hash itself. */
  encode(hashed: Buffer): Buffer;
  /** Throws CKR_MECHANISM_PARAM_INVALID where the parameter names another hash. */
  checkHash?(parameter: MechanismParameter): void;
}

export type Direction = 'encrypt' | 'decrypt';

/** Encrypts and decrypts in one piece. */
export interface CipherMechanism {
  readonly keyTypes: readonly number[];
  /** Clusters where it may be used; all without it. */
  readonly modes?: readonly ClusterMode[];
  check(parameter: MechanismParameter, key: KeyShape, direction: Direction): void;
  /** The longest output there can be; encryption's is exactly as long. */
  maxOutputBytes(
    direction: Direction,
    inputBytes: number,
    parameter: MechanismParameter,
    key: KeyShape,
  ): number;
  encrypt(key: UsableKey, parameter: MechanismParameter, plaintext: Buffer): Eventually<Buffer>;
  decrypt(key: UsableKey, parameter: MechanismParameter, ciphertext: Buffer): Eventually<Buffer>;
  /** How an operation in parts is cut; without it the parts are collected and done in one piece at the end. */
  readonly stream?: CipherStream;
  /** The IV that the HSM makes at EncryptInit when the program leaves it open: its length, or undefined. */
  hsmIvBytes?(parameter: MechanismParameter): number | undefined;
  /** The same parameter with that IV in it. */
  withIv?(parameter: MechanismParameter, iv: Buffer): MechanismParameter;
}

/** How a cipher goes on from one part to the next. The HSM keeps nothing between them: the session does. */
export interface CipherStream {
  /** The mechanism for all pieces but the last. */
  readonly partMechanism: number;
  /** Pieces are multiples of this; 1 for a key stream. */
  readonly blockBytes: number;
  /** The last whole block waits for Final, which removes the padding from it. */
  readonly holdsLastBlock: (direction: Direction) => boolean;
  /** Bytes of key stream there are, counted from Init: a counter that runs over would use some of it twice. */
  keyStreamBytes?(parameter: MechanismParameter): bigint;
  /** The parameter for the piece after this one. */
  next(
    parameter: MechanismParameter,
    direction: Direction,
    input: Buffer,
    output: Buffer,
  ): MechanismParameter;
}

export interface SecretKeyGeneration {
  readonly keyType: number;
  /** Bytes of the new key. Throws CKR_TEMPLATE_INCOMPLETE or CKR_ATTRIBUTE_VALUE_INVALID. */
  lengthBytes(template: Template): number;
}

export interface KeyPairGeneration {
  readonly keyType: number;
  generate(publicTemplate: Template): Eventually<KeyPairDer>;
}

/** THE row per mechanism. What is not there the mechanism cannot do; C_GetMechanismList, C_GetMechanismInfo, the
 * Init calls and key generation all read it. */
export interface MechanismRow {
  readonly type: number;
  /** In bits or bytes as the standard has it for the mechanism. */
  readonly minKeySize: number;
  readonly maxKeySize: number;
  /** CKF_EC_… of elliptic curve mechanisms. */
  readonly extraFlags?: number;
  readonly digest?: HashName;
  readonly signature?: SignatureMechanism;
  readonly hashedSignature?: HashedSignature;
  readonly cipher?: CipherMechanism;
  readonly generateKey?: SecretKeyGeneration;
  readonly generateKeyPair?: KeyPairGeneration;
}

/** The flags of CK_MECHANISM_INFO: what the row can do. */
export function mechanismFlags(row: MechanismRow, mode: ClusterMode): number {
  const has = (part: unknown, flags: number): number => (part === undefined ? 0 : flags);
  const cipher = row.cipher?.modes?.includes(mode) === false ? undefined : row.cipher;
  return (
    has(row.digest, CKF.CKF_DIGEST) |
    // Digests run in client software (reference section 0): all else is the HSM's.
    (row.digest === undefined ? CKF.CKF_HW : 0) |
    has(row.signature ?? row.hashedSignature, CKF.CKF_SIGN | CKF.CKF_VERIFY) |
    has(cipher, CKF.CKF_ENCRYPT | CKF.CKF_DECRYPT) |
    has(row.generateKey, CKF.CKF_GENERATE) |
    has(row.generateKeyPair, CKF.CKF_GENERATE_KEY_PAIR) |
    (row.extraFlags ?? 0)
  );
}

/** For mechanisms that take no parameter. */
export function noParameter(parameter: MechanismParameter): void {
  if (parameter !== undefined) throw badParameter('it takes none');
}

export function badParameter(why: string): Error {
  return ckr('CKR_MECHANISM_PARAM_INVALID', `the mechanism's parameter cannot be used: ${why}`);
}

/** The parameter as the structure `layout`, which is what the module sends for a parameter of the right length. */
export function structParameter<L extends string>(
  parameter: MechanismParameter,
  layout: L,
): Extract<MechanismParameter, { layout: L }> {
  if (parameter === undefined || Buffer.isBuffer(parameter) || parameter.layout !== layout) {
    throw badParameter(`it must be a ${layout}`);
  }
  return parameter as Extract<MechanismParameter, { layout: L }>;
}

export type { Mechanism, MechanismParameter };
