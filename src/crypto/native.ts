import { addonPart } from '../base/addon.js';
import type { Eventually } from '../base/eventually.js';
import { CryptoError } from './errors.js';
import type { Repeatable } from './repeatable.js';

// The addon's crypto part. Arguments are positional, hashes and curves are row numbers of the addon's own
// tables, and functions with an `output` write into it, so that small outputs come out of Node's Buffer pool.

interface NativeCurve {
  name: string;
  fieldBits: number;
  orderLengthBytes: number;
  oid: Buffer;
}

/** A parsed RSA or EC key of the addon. */
export interface NativeAsymmetricKey {
  readonly type: 'rsa' | 'ec';
  readonly isPrivate: boolean;
  readonly bits: number;
  readonly curve: string | undefined;
  destroy(): void;
  rsaSign(
    scheme: number,
    hash: number,
    mgfHash: number,
    saltLengthBytes: number,
    input: Uint8Array,
  ): Promise<Buffer>;
  rsaVerify(
    scheme: number,
    hash: number,
    mgfHash: number,
    saltLengthBytes: number,
    input: Uint8Array,
    signature: Uint8Array,
  ): boolean;
  rsaEncrypt(scheme: number, hash: number, mgfHash: number, label: Uint8Array, plaintext: Uint8Array): Buffer;
  rsaDecrypt(
    scheme: number,
    hash: number,
    mgfHash: number,
    label: Uint8Array,
    ciphertext: Uint8Array,
  ): Promise<Buffer>;
  ecdsaSign(digest: Uint8Array): Eventually<Buffer>;
  ecdsaVerify(digest: Uint8Array, signature: Uint8Array): Eventually<boolean>;
  ecdhDerive(peerPoint: Uint8Array): Eventually<Buffer>;
  repeatableRsa(
    scheme: number,
    hash: number,
    mgfHash: number,
    saltLengthBytes: number,
    verifies: boolean,
  ): Repeatable;
  repeatableEcdsa(longestHashBytes: number, verifies: boolean): Repeatable;
}

/** The bytes of a secret key and its keyed contexts, held by the addon. */
export interface NativeSecretKey {
  readonly lengthBytes: number;
  destroy(): void;
  cipher(
    mode: number,
    encrypt: boolean,
    iv: Uint8Array | undefined,
    input: Uint8Array,
    padding: boolean,
    output: Uint8Array,
  ): number;
  gcmEncrypt(
    iv: Uint8Array,
    aad: Uint8Array,
    tagLengthBytes: number,
    plaintext: Uint8Array,
    output: Uint8Array,
  ): void;
  gcmSeal(aad: Uint8Array, plaintext: Uint8Array, output: Uint8Array): void;
  gcmDecrypt(
    iv: Uint8Array,
    aad: Uint8Array,
    tagLengthBytes: number,
    sealed: Uint8Array,
    output: Uint8Array,
  ): void;
  wrap(padded: boolean, encrypt: boolean, input: Uint8Array, output: Uint8Array): number;
  wrapLater(padded: boolean, encrypt: boolean, input: Uint8Array): Promise<Buffer>;
  hmac(hash: number, data: Uint8Array, output: Uint8Array): void;
  cmac(data: Uint8Array, output: Uint8Array): void;
  repeatableGcm(encrypt: boolean, aad: Uint8Array, tagLengthBytes: number, makesIv: boolean): Repeatable;
  repeatableCipher(mode: number, encrypt: boolean, padding: boolean): Repeatable;
  repeatableHmac(hash: number, verifies: boolean): Repeatable;
  repeatableCmac(verifies: boolean): Repeatable;
}

/** A parsed key of the addon that signs messages whole. */
export interface NativeMessageKey {
  readonly algorithm: string;
  destroy(): void;
  sign(form: number, input: Uint8Array): Eventually<Buffer>;
  verify(form: number, input: Uint8Array, signature: Uint8Array): Eventually<boolean>;
}

/** `forms`: whether the running OpenSSL has the algorithm pure, prehashed, with mu. */
interface NativeMessageAlgorithm {
  readonly name: string;
  readonly signatureBytes: number;
  readonly forms: readonly boolean[];
}

type Bytes = Uint8Array;

interface NativeCrypto {
  setErrorClass(errorClass: typeof CryptoError): void;
  readonly hashNames: readonly string[];
  readonly curves: readonly NativeCurve[];
  digest(hash: number, data: Bytes, output: Bytes): void;
  digestElsewhere(hash: number, data: Bytes): Promise<Buffer>;
  randomFill(output: Bytes): void;
  encryptZeros(mode: number, key: Bytes, output: Bytes): void;
  AsymmetricKey: new (der: Bytes, isPrivate: boolean) => NativeAsymmetricKey;
  SecretKey: new (bytes: Bytes) => NativeSecretKey;
  /** n, e, d, then p, q, dP, dQ, qInv where known. */
  rsaPrivateKeyInfo(n: Bytes, e: Bytes, d: Bytes, ...rest: (Bytes | undefined)[]): Buffer;
  rsaPublicKeyInfo(n: Bytes, e: Bytes): Buffer;
  rsaPrivateComponents(pkcs8: Bytes): Buffer[];
  rsaPublicComponents(spki: Bytes): Buffer[];
  ecPrivateKeyInfo(curve: number, scalar: Bytes): Buffer;
  ecPublicKeyInfo(curve: number, point: Bytes): Buffer;
  ecPrivateComponents(pkcs8: Bytes): Buffer[];
  ecPublicComponents(spki: Bytes): Buffer[];
  generateRsaKeyPair(modulusBits: number, publicExponent: Bytes): Promise<Buffer[]>;
  generateEcKeyPair(curve: number): Eventually<Buffer[]>;
  readonly messageAlgorithms: readonly NativeMessageAlgorithm[];
  MessageKey: new (der: Bytes, isPrivate: boolean) => NativeMessageKey;
  generateMessageKeyPair(algorithm: number): Eventually<Buffer[]>;
  repeatableDigest(hash: number): Repeatable;
  repeatableHashed(work: Repeatable, hash: number, prefix: Bytes): Repeatable;
}

export const native = addonPart<NativeCrypto>('crypto');
native.setErrorClass(CryptoError);

const maximumLengthBytes = 0x7fff_ffff;

/**
 * Room for an output that the addon is about to fill.
 * @throws CryptoError INPUT_LENGTH above 2^31 - 1 bytes, as the addon does for inputs
 */
export function outputBuffer(lengthBytes: number): Buffer {
  if (!(lengthBytes >= 0 && lengthBytes <= maximumLengthBytes)) {
    throw new CryptoError('INPUT_LENGTH', 'more than 2^31 - 1 bytes');
  }
  return Buffer.allocUnsafe(lengthBytes);
}
