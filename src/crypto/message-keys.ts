import { andThen, type Eventually } from '../base/eventually.js';
import type { KeyPairDer } from './key-material.js';
import { type NativeMessageKey, native } from './native.js';

/** Algorithms that sign messages whole: EdDSA (RFC 8032) and ML-DSA (FIPS 204). */
export type MessageAlgorithm = 'ED25519' | 'ML-DSA-44' | 'ML-DSA-65' | 'ML-DSA-87';

/** What of a message the algorithm is given: all of it; its SHA-512, as Ed25519ph has it; or the 64 bytes mu (FIPS 204,
 * algorithm 7, line 6), which the signer has computed from the public key and the message. */
export type MessageForm = 'pure' | 'prehash' | 'mu';

// Numbered as enum MessageForm of the addon.
const formRow: Record<MessageForm, number> = { pure: 0, prehash: 1, mu: 2 };

export const messageAlgorithms = native.messageAlgorithms.map(({ name }) => name as MessageAlgorithm);

/** A parsed key. As for an AsymmetricKey: cleansed by `destroy`, after which it throws INVALID_KEY. */
export interface MessageKey {
  readonly algorithm: MessageAlgorithm;
  destroy(): void;
}

/** Bits of the public key (RFC 8032, section 5.1; FIPS 204, table 2). */
const keyBits: Record<MessageAlgorithm, number> = {
  ED25519: 255,
  'ML-DSA-44': 1312 * 8,
  'ML-DSA-65': 1952 * 8,
  'ML-DSA-87': 2592 * 8,
};

export function messageKeyBits(algorithm: MessageAlgorithm): number {
  return keyBits[algorithm];
}

/** An algorithm's row of the addon. */
function rowOf(algorithm: MessageAlgorithm): number {
  return messageAlgorithms.indexOf(algorithm);
}

/** Whether the OpenSSL inside the running Node can do it: Ed25519 from 3.0 on, Ed25519ph from 3.4, ML-DSA from 3.5. */
export function hasMessageAlgorithm(algorithm: MessageAlgorithm, form: MessageForm): boolean {
  return native.messageAlgorithms[rowOf(algorithm)]!.forms[formRow[form]]!;
}

export function messageSignatureBytes(algorithm: MessageAlgorithm): number {
  return native.messageAlgorithms[rowOf(algorithm)]!.signatureBytes;
}

/**
 * Parses a DER PrivateKeyInfo (RFC 8410, RFC 9881) or SubjectPublicKeyInfo.
 * @throws CryptoError INVALID_KEY; UNSUPPORTED for other algorithms
 */
export function importMessageKey(der: Uint8Array, isPrivate: boolean): MessageKey {
  return new native.MessageKey(der, isPrivate) as unknown as MessageKey;
}

/** Generates a key pair. */
export function generateMessageKeyPair(algorithm: MessageAlgorithm): Eventually<KeyPairDer> {
  return andThen(native.generateMessageKeyPair(rowOf(algorithm)), ([pkcs8, spki]) => ({
    pkcs8: pkcs8!,
    spki: spki!,
  }));
}

const nativeOf = (key: MessageKey): NativeMessageKey => key as unknown as NativeMessageKey;

/** @throws CryptoError INVALID_KEY; UNSUPPORTED where the running OpenSSL has no such form */
export function messageSign(key: MessageKey, form: MessageForm, input: Uint8Array): Eventually<Buffer> {
  return nativeOf(key).sign(formRow[form], input);
}

/** Whether it is a signature of the input. @throws CryptoError as messageSign does */
export function messageVerify(
  key: MessageKey,
  form: MessageForm,
  input: Uint8Array,
  signature: Uint8Array,
): Eventually<boolean> {
  return nativeOf(key).verify(formRow[form], input, signature);
}

/** DER of id-Ed25519, 1.3.101.112 (RFC 8410). */
export const ed25519Oid = Buffer.from('06032b6570', 'hex');

/** Whether a SubjectPublicKeyInfo or PrivateKeyInfo is Ed25519's: the forms OpenSSL makes have one length (RFC 8410). */
export function isEd25519(der: Buffer): boolean {
  const at = der.length === 44 ? 4 : der.length === 48 ? 7 : -1;
  return at > 0 && der.subarray(at, at + ed25519Oid.length).equals(ed25519Oid);
}

/** The public key of RFC 8032, at the end of an Ed25519 SubjectPublicKeyInfo. */
export function ed25519Point(spki: Buffer): Buffer {
  return spki.subarray(-32);
}

/** The SubjectPublicKeyInfo of such a public key (RFC 8410, section 4). */
export function ed25519PublicKeyInfo(point: Buffer): Buffer {
  return Buffer.concat([Buffer.from('302a3005', 'hex'), ed25519Oid, Buffer.from('032100', 'hex'), point]);
}

/** The private key of RFC 8032, at the end of an Ed25519 PrivateKeyInfo. */
export function ed25519Seed(pkcs8: Buffer): Buffer {
  return Buffer.from(pkcs8.subarray(-32));
}
