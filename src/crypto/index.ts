export * from './aes.js';
export { authorityKeyKinds, type Certificate, certifiesKey, parseCertificate } from './certificates.js';
export { type Curve, type CurveName, curveByName, curveByOid, curves } from './curves.js';
export * from './des3.js';
export * from './ec.js';
export * from './equal.js';
export * from './errors.js';
export {
  blockLengthBytes,
  createDigest,
  digest,
  digestAnywhere,
  type HashName,
  hashLengthBytes,
  LONG_DIGEST_BYTES,
  type RunningDigest,
} from './hashes.js';
export * from './kdf.js';
export * from './key-material.js';
export * from './key-wrap.js';
export {
  type AsymmetricKey,
  importPrivateKey,
  importPublicKey,
  importSecretKey,
  type SecretKey,
} from './keys.js';
export * from './mac.js';
export * from './message-keys.js';
export * from './numbers.js';
export * from './passwords.js';
export { pkcs8OfPem } from './pem-keys.js';
export * from './random.js';
export {
  type Repeatable,
  repeatableAesGcm,
  repeatableCmac,
  repeatableDigest,
  repeatableEcdsa,
  repeatableHashed,
  repeatableHmac,
  type SignatureUse,
} from './repeatable.js';
export * from './rsa.js';
