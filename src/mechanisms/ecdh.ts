import { andThen, type Eventually } from '../base/eventually.js';
import { type AsymmetricKey, ecdhDerive, ecdhX963 } from '../crypto/index.js';
import { ckr } from '../pkcs11/ckr.js';
import { CKD, CKK } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';
import { DERIVATION_DATA_BYTES } from './data-limits.js';
import { rawPoint } from './ec-point.js';
import { curveSizes } from './ecdsa.js';
import { hashRows } from './hashes.js';
import {
  badParameter,
  type DerivationLimits,
  type KeyDerivation,
  type MechanismParameter,
  type MechanismRow,
  structParameter,
  type UsableKey,
} from './mechanism.js';

/** The uncompressed point in pPublicData, DER or raw (reference section 9.7). That it is on the curve is checked where it is
 * used. CKF_EC_UNCOMPRESS is the only form that C_GetMechanismInfo tells of. */
function peerPoint(key: UsableKey, publicData: Buffer): Buffer {
  const point = rawPoint(key.curve!, publicData);
  if (point[0] !== 0x04) throw badParameter('pPublicData holds no uncompressed point');
  return point;
}

/**
 * CKD_NULL: the shared secret itself, of which bytes are removed "from the leading end" (v2.40 mechanisms, 2.3.5). CloudHSM
 * does it only where it was told to, and AWS files it under what FIPS clusters do not do (reference 9.2, 9.7).
 */
function withoutKdf(
  key: UsableKey,
  point: Buffer,
  sharedData: Buffer,
  lengthBytes: number,
  { kind, ecdhWithoutKdf }: DerivationLimits,
): Eventually<Buffer> {
  if (!ecdhWithoutKdf) throw badParameter('CKD_NULL is not enabled: use a CKD_CLOUDHSM_X963_…_KDF');
  if (kind.mode === 'FIPS') throw badParameter('a FIPS cluster has no CKD_NULL');
  if (sharedData.length > 0) throw badParameter('CKD_NULL takes no shared data');
  return andThen(ecdhDerive(key.native as AsymmetricKey, point), (secret) => {
    try {
      if (lengthBytes > secret.length)
        throw ckr('CKR_KEY_SIZE_RANGE', `the shared secret has ${secret.length} bytes, not ${lengthBytes}`);
      return Buffer.from(secret.subarray(secret.length - lengthBytes));
    } finally {
      secret.fill(0);
    }
  });
}

function derive(
  key: UsableKey,
  parameter: MechanismParameter,
  lengthBytes: number,
  limits: DerivationLimits,
): ReturnType<KeyDerivation['derive']> {
  const { kdf, pSharedData, pPublicData } = structParameter(parameter, 'CK_ECDH1_DERIVE_PARAMS');
  const point = peerPoint(key, pPublicData);
  if (kdf === CKD.CKD_NULL) return withoutKdf(key, point, pSharedData, lengthBytes, limits);
  const row = hashRows.find(({ x963 }) => x963 === kdf);
  if (row === undefined) throw badParameter(`kdf 0x${kdf.toString(16)}`);
  if (pSharedData.length > DERIVATION_DATA_BYTES)
    throw badParameter(`${pSharedData.length} bytes of shared data: ${DERIVATION_DATA_BYTES} are allowed`);
  return ecdhX963(key.native as AsymmetricKey, point, row.hash, pSharedData, lengthBytes);
}

export const ecdhMechanism: MechanismRow = {
  type: CKM.CKM_ECDH1_DERIVE,
  ...curveSizes,
  derivation: { keyTypes: [CKK.CKK_EC], derive },
};
