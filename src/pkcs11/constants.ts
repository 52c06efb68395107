import { vendorDerivations, vendorKeyTypes } from './vendor.js';

/** Numbers of PKCS#11 v2.40 (pkcs11t.h) that are neither attributes, mechanisms nor return values. */

export const CKO = {
  CKO_DATA: 0x0,
  CKO_CERTIFICATE: 0x1,
  CKO_PUBLIC_KEY: 0x2,
  CKO_PRIVATE_KEY: 0x3,
  CKO_SECRET_KEY: 0x4,
  CKO_HW_FEATURE: 0x5,
  CKO_DOMAIN_PARAMETERS: 0x6,
  CKO_MECHANISM: 0x7,
} as const;

export const standardKeyTypes = {
  CKK_RSA: 0x0,
  CKK_EC: 0x3,
  CKK_GENERIC_SECRET: 0x10,
  CKK_DES3: 0x15,
  CKK_AES: 0x1f,
} as const;

export const CKK = { ...standardKeyTypes, ...vendorKeyTypes } as const;

/** Key derivation functions of CKM_ECDH1_DERIVE. */
export const standardDerivations = { CKD_NULL: 0x1 } as const;
export const CKD = { ...standardDerivations, ...vendorDerivations } as const;

export const CKC = { CKC_X_509: 0x0 } as const;

export const CKU = { CKU_SO: 0, CKU_USER: 1, CKU_CONTEXT_SPECIFIC: 2 } as const;

export const CKS = {
  CKS_RO_PUBLIC_SESSION: 0,
  CKS_RO_USER_FUNCTIONS: 1,
  CKS_RW_PUBLIC_SESSION: 2,
  CKS_RW_USER_FUNCTIONS: 3,
  CKS_RW_SO_FUNCTIONS: 4,
} as const;

export const CKG = {
  CKG_MGF1_SHA1: 1,
  CKG_MGF1_SHA256: 2,
  CKG_MGF1_SHA384: 3,
  CKG_MGF1_SHA512: 4,
  CKG_MGF1_SHA224: 5,
} as const;

export const CKZ = { CKZ_DATA_SPECIFIED: 1 } as const;

/** Flags share names across the structures they belong to, and values across different ones. */
export const CKF = {
  // CK_SLOT_INFO
  CKF_TOKEN_PRESENT: 0x1,
  CKF_REMOVABLE_DEVICE: 0x2,
  CKF_HW_SLOT: 0x4,
  // CK_TOKEN_INFO
  CKF_RNG: 0x1,
  CKF_LOGIN_REQUIRED: 0x4,
  CKF_USER_PIN_INITIALIZED: 0x8,
  CKF_TOKEN_INITIALIZED: 0x400,
  // CK_SESSION_INFO, C_OpenSession
  CKF_RW_SESSION: 0x2,
  CKF_SERIAL_SESSION: 0x4,
  // CK_C_INITIALIZE_ARGS
  CKF_LIBRARY_CANT_CREATE_OS_THREADS: 0x1,
  CKF_OS_LOCKING_OK: 0x2,
  // C_WaitForSlotEvent
  CKF_DONT_BLOCK: 0x1,
  // CK_MECHANISM_INFO
  CKF_HW: 0x1,
  CKF_ENCRYPT: 0x100,
  CKF_DECRYPT: 0x200,
  CKF_DIGEST: 0x400,
  CKF_SIGN: 0x800,
  CKF_SIGN_RECOVER: 0x1000,
  CKF_VERIFY: 0x2000,
  CKF_VERIFY_RECOVER: 0x4000,
  CKF_GENERATE: 0x8000,
  CKF_GENERATE_KEY_PAIR: 0x10000,
  CKF_WRAP: 0x20000,
  CKF_UNWRAP: 0x40000,
  CKF_DERIVE: 0x80000,
  CKF_EC_F_P: 0x100000,
  CKF_EC_NAMEDCURVE: 0x800000,
  CKF_EC_UNCOMPRESS: 0x1000000,
  // attribute types
  CKF_ARRAY_ATTRIBUTE: 0x40000000,
} as const;

/** CK_UNAVAILABLE_INFORMATION is ~0, which no JavaScript number holds: the codec writes -1 as all ones. */
export const CK_UNAVAILABLE_INFORMATION = -1;

/** CloudHSM's first slot; the others count up from it. It does not fit a JavaScript number, so inside the engine
 * a slot is its index and only the codec knows this number. [seen, reference section 4] */
export const FIRST_SLOT_ID = 0x2000000000000001n;
