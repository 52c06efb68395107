import {
  type AsymmetricKey,
  hashLengthBytes,
  type RsaEncryptionPadding,
  type RsaSignaturePadding,
} from '../crypto/index.js';
import { CKZ } from '../pkcs11/constants.js';
import { type HashRow, hashOfDigest } from './hashes.js';
import {
  badParameter,
  type KeyShape,
  type MechanismParameter,
  structParameter,
  type UsableKey,
} from './mechanism.js';

export const nativeRsa = (key: UsableKey): AsymmetricKey => key.native as AsymmetricKey;
export const modulusBytes = (key: KeyShape): number => Math.ceil(key.bits / 8);

/** hashAlg and mgf of a PSS or OAEP parameter: CloudHSM wants the same hash in both (reference section 9.6). */
function matchingHash(hashAlg: number, mgf: number): HashRow {
  const row = hashOfDigest(hashAlg);
  if (row === undefined) throw badParameter(`hashAlg 0x${hashAlg.toString(16)} is no hash of CloudHSM`);
  if (row.mgf !== mgf) throw badParameter('hashAlg and mgf name different hashes');
  return row;
}

export function pssPadding(
  parameter: MechanismParameter,
  key: KeyShape,
): RsaSignaturePadding & { scheme: 'pss' } {
  const { hashAlg, mgf, sLen } = structParameter(parameter, 'CK_RSA_PKCS_PSS_PARAMS');
  const { hash } = matchingHash(hashAlg, mgf);
  // emLen - hLen - 2 with emBits = modulus bits - 1 (RFC 8017, section 9.1.1).
  if (sLen > Math.ceil((key.bits - 1) / 8) - hashLengthBytes[hash] - 2)
    throw badParameter(`a salt of ${sLen} bytes`);
  return { scheme: 'pss', hash, mgfHash: hash, saltLengthBytes: sLen };
}

export function oaepPadding(parameter: MechanismParameter): RsaEncryptionPadding & { scheme: 'oaep' } {
  const { hashAlg, mgf, source, pSourceData } = structParameter(parameter, 'CK_RSA_PKCS_OAEP_PARAMS');
  const { hash } = matchingHash(hashAlg, mgf);
  if (source !== 0 && source !== CKZ.CKZ_DATA_SPECIFIED) throw badParameter(`source ${source}`);
  if (pSourceData.length > 0) throw badParameter('CloudHSM takes no OAEP label');
  return { scheme: 'oaep', hash, mgfHash: hash, label: pSourceData };
}
