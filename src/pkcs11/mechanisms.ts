import { vendorMechanisms } from './vendor.js';

/** Mechanism numbers of PKCS#11 v2.40 that CloudHSM has (reference section 9.1). */
export const standardMechanisms = {
  CKM_RSA_PKCS_KEY_PAIR_GEN: 0x0,
  CKM_RSA_PKCS: 0x1,
  CKM_RSA_X_509: 0x3,
  CKM_SHA1_RSA_PKCS: 0x6,
  CKM_RSA_PKCS_OAEP: 0x9,
  CKM_RSA_X9_31_KEY_PAIR_GEN: 0xa,
  CKM_RSA_PKCS_PSS: 0xd,
  CKM_SHA1_RSA_PKCS_PSS: 0xe,
  CKM_SHA256_RSA_PKCS: 0x40,
  CKM_SHA384_RSA_PKCS: 0x41,
  CKM_SHA512_RSA_PKCS: 0x42,
  CKM_SHA256_RSA_PKCS_PSS: 0x43,
  CKM_SHA384_RSA_PKCS_PSS: 0x44,
  CKM_SHA512_RSA_PKCS_PSS: 0x45,
  CKM_SHA224_RSA_PKCS: 0x46,
  CKM_SHA224_RSA_PKCS_PSS: 0x47,
  CKM_DES3_KEY_GEN: 0x131,
  CKM_DES3_ECB: 0x132,
  CKM_DES3_CBC: 0x133,
  CKM_DES3_CBC_PAD: 0x136,
  CKM_SHA_1: 0x220,
  CKM_SHA_1_HMAC: 0x221,
  CKM_SHA256: 0x250,
  CKM_SHA256_HMAC: 0x251,
  CKM_SHA224: 0x255,
  CKM_SHA224_HMAC: 0x256,
  CKM_SHA384: 0x260,
  CKM_SHA384_HMAC: 0x261,
  CKM_SHA512: 0x270,
  CKM_SHA512_HMAC: 0x271,
  CKM_GENERIC_SECRET_KEY_GEN: 0x350,
  CKM_EC_KEY_PAIR_GEN: 0x1040,
  CKM_ECDSA: 0x1041,
  CKM_ECDSA_SHA1: 0x1042,
  CKM_ECDSA_SHA224: 0x1043,
  CKM_ECDSA_SHA256: 0x1044,
  CKM_ECDSA_SHA384: 0x1045,
  CKM_ECDSA_SHA512: 0x1046,
  CKM_ECDH1_DERIVE: 0x1050,
  CKM_RSA_AES_KEY_WRAP: 0x1054,
  CKM_AES_KEY_GEN: 0x1080,
  CKM_AES_ECB: 0x1081,
  CKM_AES_CBC: 0x1082,
  CKM_AES_CBC_PAD: 0x1085,
  CKM_AES_CTR: 0x1086,
  CKM_AES_GCM: 0x1087,
  CKM_AES_CMAC: 0x108a,
} as const;

/** Every mechanism of CloudHSM by name. */
export const CKM = { ...standardMechanisms, ...vendorMechanisms } as const;

export type MechanismName = keyof typeof CKM;

const names = new Map<number, MechanismName>(
  Object.entries(CKM).map(([name, type]) => [type, name as MechanismName]),
);

export function mechanismName(type: number): string {
  return names.get(type) ?? `0x${type.toString(16)}`;
}
