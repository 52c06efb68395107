import { type HashName, hashLengthBytes } from '../crypto/index.js';
import { CKD, CKG } from '../pkcs11/constants.js';
import { CKM } from '../pkcs11/mechanisms.js';

/** Everything the mechanisms need to know of one hash. */
export interface HashRow {
  readonly hash: HashName;
  readonly digest: number;
  readonly hmac: number;
  /** The longest input of the HMAC (reference section 9.3). */
  readonly hmacMaxDataBytes: number;
  readonly rsaPkcs: number;
  readonly rsaPss: number;
  readonly ecdsa: number;
  readonly mgf: number;
  /** CKD_… of the KDF of ANSI X9.63 with it. */
  readonly x963: number;
  /** DER of DigestInfo up to the hash itself (RFC 8017, section 9.2, note 1). */
  readonly digestInfoPrefix: Buffer;
}

const nistHash = (arc: string, lengthBytes: number): Buffer => {
  const length = lengthBytes.toString(16).padStart(2, '0');
  const whole = (0x11 + lengthBytes).toString(16).padStart(2, '0');
  return Buffer.from(`30${whole}300d06096086480165030402${arc}050004${length}`, 'hex');
};

/** THE row per hash: five rows make 25 mechanisms. */
export const hashRows: readonly HashRow[] = [
  {
    hash: 'sha1',
    digest: CKM.CKM_SHA_1,
    hmac: CKM.CKM_SHA_1_HMAC,
    hmacMaxDataBytes: 16_288,
    rsaPkcs: CKM.CKM_SHA1_RSA_PKCS,
    rsaPss: CKM.CKM_SHA1_RSA_PKCS_PSS,
    ecdsa: CKM.CKM_ECDSA_SHA1,
    mgf: CKG.CKG_MGF1_SHA1,
    x963: CKD.CKD_CLOUDHSM_X963_SHA1_KDF,
    digestInfoPrefix: Buffer.from('3021300906052b0e03021a05000414', 'hex'),
  },
  {
    hash: 'sha224',
    digest: CKM.CKM_SHA224,
    hmac: CKM.CKM_SHA224_HMAC,
    hmacMaxDataBytes: 16_256,
    rsaPkcs: CKM.CKM_SHA224_RSA_PKCS,
    rsaPss: CKM.CKM_SHA224_RSA_PKCS_PSS,
    ecdsa: CKM.CKM_ECDSA_SHA224,
    mgf: CKG.CKG_MGF1_SHA224,
    x963: CKD.CKD_CLOUDHSM_X963_SHA224_KDF,
    digestInfoPrefix: nistHash('04', hashLengthBytes.sha224),
  },
  {
    hash: 'sha256',
    digest: CKM.CKM_SHA256,
    hmac: CKM.CKM_SHA256_HMAC,
    hmacMaxDataBytes: 16_288,
    rsaPkcs: CKM.CKM_SHA256_RSA_PKCS,
    rsaPss: CKM.CKM_SHA256_RSA_PKCS_PSS,
    ecdsa: CKM.CKM_ECDSA_SHA256,
    mgf: CKG.CKG_MGF1_SHA256,
    x963: CKD.CKD_CLOUDHSM_X963_SHA256_KDF,
    digestInfoPrefix: nistHash('01', hashLengthBytes.sha256),
  },
  {
    hash: 'sha384',
    digest: CKM.CKM_SHA384,
    hmac: CKM.CKM_SHA384_HMAC,
    hmacMaxDataBytes: 16_224,
    rsaPkcs: CKM.CKM_SHA384_RSA_PKCS,
    rsaPss: CKM.CKM_SHA384_RSA_PKCS_PSS,
    ecdsa: CKM.CKM_ECDSA_SHA384,
    mgf: CKG.CKG_MGF1_SHA384,
    x963: CKD.CKD_CLOUDHSM_X963_SHA384_KDF,
    digestInfoPrefix: nistHash('02', hashLengthBytes.sha384),
  },
  {
    hash: 'sha512',
    digest: CKM.CKM_SHA512,
    hmac: CKM.CKM_SHA512_HMAC,
    hmacMaxDataBytes: 16_224,
    rsaPkcs: CKM.CKM_SHA512_RSA_PKCS,
    rsaPss: CKM.CKM_SHA512_RSA_PKCS_PSS,
    ecdsa: CKM.CKM_ECDSA_SHA512,
    mgf: CKG.CKG_MGF1_SHA512,
    x963: CKD.CKD_CLOUDHSM_X963_SHA512_KDF,
    digestInfoPrefix: nistHash('03', hashLengthBytes.sha512),
  },
];

/** The hash that a parameter names by its digest mechanism (hashAlg), or undefined. */
export function hashOfDigest(digest: number): HashRow | undefined {
  return hashRows.find((row) => row.digest === digest);
}
