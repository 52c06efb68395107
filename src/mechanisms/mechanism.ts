import type { ClusterKind, ClusterMode, HsmType } from '../base/cluster-kind.js';
import type { Eventually } from '../base/eventually.js';
import type {
  AsymmetricKey,
  CurveName,
  HashName,
  KeyPairDer,
  MessageAlgorithm,
  MessageKey,
  Repeatable,
  SecretKey,
  SignatureUse,
} from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKF } from '../pkcs11/constants.js';
import type { Mechanism, MechanismParameter } from '../pkcs11/layouts.js';
import type { Template } from '../pkcs11/template.js';

/** CKK_EC_EDWARDS of v3.0. Ed25519 keys of CloudHSM say CKK_EC, as the others on curves; what uses them must tell the two
 * apart. */
export const KEY_TYPE_EDWARDS = 0x40;

/** What of a key decides sizes and whether a mechanism fits it. */
export interface KeyShape {
  /** CKK_…, or KEY_TYPE_EDWARDS. */
  readonly keyType: number;
  /** Bits of the modulus, the field or the secret. */
  readonly bits: number;
  readonly curve?: CurveName;
  /** Of keys that sign messages whole. */
  readonly algorithm?: MessageAlgorithm;
}

/** A key ready for work inside the HSM. */
export interface UsableKey extends KeyShape {
  readonly native: AsymmetricKey | SecretKey | MessageKey;
}

/** Signs and verifies, or computes a MAC. Everything arrives in one piece. */
export interface SignatureMechanism {
  readonly keyTypes: readonly number[];
  /** The longest input; without it `checkInput` says. */
  readonly maxDataBytes?: number;
  /** The whole input comes in one call: CloudHSM has no Update for it (reference 9.1). */
  readonly singlePart?: true;
  /** Throws CKR_MECHANISM_PARAM_INVALID or CKR_KEY_SIZE_RANGE: Init decides, Sign only runs. */
  check(parameter: MechanismParameter, key: KeyShape): void;
  signatureLengthBytes(key: KeyShape): number;
  /** Brings a shorter form of a signature, where the standard has one, to its full length. */
  padSignature?(key: KeyShape, signature: Buffer): Buffer;
  /** Throws CKR_DATA_LEN_RANGE. Without it any length will do. */
  checkInput?(parameter: MechanismParameter, key: KeyShape, lengthBytes: number): void;
  /** Where the parameter, and not the mechanism, says that the client hashes the data. */
  hashedWhen?(parameter: MechanismParameter): HashedSignature | undefined;
  sign(key: UsableKey, parameter: MechanismParameter, input: Buffer): Eventually<Buffer>;
  /** `signature` already has the right length. */
  verify(
    key: UsableKey,
    parameter: MechanismParameter,
    input: Buffer,
    signature: Buffer,
  ): Eventually<boolean>;
  /** The same again and again without a word of the HSM; undefined where it cannot be had. */
  repeatable?(key: UsableKey, parameter: MechanismParameter, use: SignatureUse): Repeatable | undefined;
}

/** A signature over a hash that the client computes, as CloudHSM's library does (reference section 0). */
export interface HashedSignature {
  readonly hash: HashName;
  /** The mechanism that the HSM is asked for. */
  readonly base: number;
  /** What the HSM is given in front of the hash: the DigestInfo around it. */
  readonly prefix?: Buffer;
  /** Throws CKR_MECHANISM_PARAM_INVALID where the parameter names another hash. */
  checkHash?(parameter: MechanismParameter): void;
  /** Whether clusters of this kind sign no such hash with such a key. */
  isTooWeak?(key: KeyShape, kind: ClusterKind): boolean;
}

export const withPrefix = ({ prefix }: HashedSignature, hashed: Buffer): Buffer =>
  prefix === undefined ? hashed : Buffer.concat([prefix, hashed]);

export type Direction = 'encrypt' | 'decrypt';

/** Encrypts and decrypts in one piece. */
export interface CipherMechanism {
  readonly keyTypes: readonly number[];
  /** The longest plaintext of one request; without it the key's size is the bound. */
  readonly maxDataBytes?: number;
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
  /** Where the parameter has an IV, as it came: another one each time makes no other operation. */
  ivOf?(parameter: MechanismParameter): Buffer;
  /** The same again and again without a word of the HSM, but for the IV; undefined where it cannot be had. */
  repeatable?(
    key: UsableKey,
    parameter: MechanismParameter,
    direction: Direction,
    makesIv: boolean,
  ): Repeatable | undefined;
  /** How an operation in parts is cut; without it the parts are collected and done in one piece at the end. */
  readonly stream?: CipherStream;
  /** The whole input comes in one call: CloudHSM has no Update for it (reference 9.1, 9.4). */
  readonly singlePart?: true;
  readonly hsmIv?: HsmIv;
}

/** The IV that the HSM makes at EncryptInit. */
export interface HsmIv {
  readonly lengthBytes: number;
  /** Whether the program leaves it to the HSM. */
  isOpen(parameter: MechanismParameter): boolean;
  /** The same parameter with another IV in it. */
  with(parameter: MechanismParameter, iv: Buffer): MechanismParameter;
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

export type WrapDirection = 'wrap' | 'unwrap';

/** A wrapped key, and the IV that the HSM made for it where the program gets that through its parameter. */
export interface WrappedKey {
  readonly wrapped: Buffer;
  readonly iv?: Buffer;
}

/** Wraps the bytes of a key, and unwraps them. What may be wrapped is the HSM's business. */
export interface WrapMechanism {
  /** Types of the wrapping key. */
  readonly keyTypes: readonly number[];
  /** Private keys are no business of RSA alone (v2.40 mechanisms, 2.1.8): 'secret' leaves them to the others. */
  readonly targets: 'any' | 'secret';
  check(parameter: MechanismParameter, key: KeyShape, direction: WrapDirection): void;
  /** Exactly how long a key of `lengthBytes` gets. Throws CKR_KEY_SIZE_RANGE for one that cannot be wrapped. */
  wrappedBytes(key: KeyShape, parameter: MechanismParameter, lengthBytes: number): number;
  wrap(key: UsableKey, parameter: MechanismParameter, keyBytes: Buffer): Eventually<WrappedKey>;
  /** Throws CKR_WRAPPED_KEY_LEN_RANGE for a length that it never makes. */
  unwrap(key: UsableKey, parameter: MechanismParameter, wrapped: Buffer): Eventually<Buffer>;
}

export interface SecretKeyGeneration {
  readonly keyType: number;
  /** The bytes of a new key. Throws CKR_TEMPLATE_INCOMPLETE or CKR_ATTRIBUTE_VALUE_INVALID. */
  generate(template: Template): Buffer;
}

export interface KeyPairGeneration {
  readonly keyType: number;
  generate(publicTemplate: Template, kind: ClusterKind): Eventually<KeyPairDer>;
}

/** What bounds a derivation besides its mechanism. */
export interface DerivationLimits {
  readonly kind: ClusterKind;
  /** Whether the cluster's HSMs give shared secrets without a KDF (`configure-pkcs11 --enable-ecdh-without-kdf`). */
  readonly ecdhWithoutKdf: boolean;
}

/** Derives a secret key from another key. */
export interface KeyDerivation {
  /** Of base keys. */
  readonly keyTypes: readonly number[];
  /** The bytes of the new key. Throws CKR_MECHANISM_PARAM_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_SIZE_RANGE, or a
   * CryptoError where the parameter's point is none. */
  derive(
    key: UsableKey,
    parameter: MechanismParameter,
    lengthBytes: number,
    limits: DerivationLimits,
  ): Eventually<Buffer>;
}

/** What a mechanism can be asked to do, the part of its row that does it, and the flag of CK_MECHANISM_INFO for it. */
export const mechanismOperations = {
  encrypt: { part: 'cipher', flag: CKF.CKF_ENCRYPT },
  decrypt: { part: 'cipher', flag: CKF.CKF_DECRYPT },
  digest: { part: 'digest', flag: CKF.CKF_DIGEST },
  sign: { part: 'signature', flag: CKF.CKF_SIGN },
  verify: { part: 'signature', flag: CKF.CKF_VERIFY },
  wrap: { part: 'wrap', flag: CKF.CKF_WRAP },
  unwrap: { part: 'wrap', flag: CKF.CKF_UNWRAP },
  generateKey: { part: 'generateKey', flag: CKF.CKF_GENERATE },
  generateKeyPair: { part: 'generateKeyPair', flag: CKF.CKF_GENERATE_KEY_PAIR },
  derive: { part: 'derivation', flag: CKF.CKF_DERIVE },
} as const satisfies Record<string, { readonly part: keyof MechanismRow; readonly flag: number }>;

export type MechanismOperation = keyof typeof mechanismOperations;
export type PartFor<O extends MechanismOperation> = NonNullable<
  MechanismRow[(typeof mechanismOperations)[O]['part']]
>;

/** Clusters that have something; a list that is absent excludes none. */
export interface ClusterSelection {
  readonly modes?: readonly ClusterMode[];
  readonly hsmTypes?: readonly HsmType[];
}

export function isSelected({ modes, hsmTypes }: ClusterSelection, kind: ClusterKind): boolean {
  return modes?.includes(kind.mode) !== false && hsmTypes?.includes(kind.hsmType) !== false;
}

/** What FIPS clusters do not have (reference section 9.2). */
export const nonFips: ClusterSelection = { modes: ['NON_FIPS'] };

/** THE row per mechanism. What is not there the mechanism cannot do; C_GetMechanismList, C_GetMechanismInfo, the
 * Init calls, the HSM commands and key generation all read it. */
export interface MechanismRow {
  readonly type: number;
  /** In bits or bytes as the standard has it for the mechanism. */
  readonly minKeySize: number;
  readonly maxKeySize: number;
  /** CKF_EC_… of elliptic curve mechanisms. */
  readonly extraFlags?: number;
  /** Operations that only some clusters have. */
  readonly only?: { readonly [O in MechanismOperation]?: ClusterSelection };
  readonly digest?: HashName;
  readonly signature?: SignatureMechanism;
  readonly hashedSignature?: HashedSignature;
  readonly cipher?: CipherMechanism;
  readonly wrap?: WrapMechanism;
  readonly generateKey?: SecretKeyGeneration;
  readonly generateKeyPair?: KeyPairGeneration;
  readonly derivation?: KeyDerivation;
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
