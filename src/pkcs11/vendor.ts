/*
 * What CloudHSM adds to PKCS#11, as AWS's cloudhsm_pkcs11_vendor_defs.h numbers it (reference section 10.1). THE one
 * place: the mechanisms, the tables of the C module and our own cloudhsm_pkcs11_vendor_defs.h are all made from it. Where
 * a number turns out to be another one, change it here, then: npm run generate.
 *
 * Numbers without a remark are AWS's own. The guesses are the numbers that PKCS#11 v3.x has for the same thing, with the
 * vendor bit set, which is the pattern of those that are known. A program compiled with AWS's header carries the true ones.
 */

/** CKM_VENDOR_DEFINED and its like. A sum, not an OR, which in JavaScript has a sign. */
export const VENDOR_DEFINED = 0x80000000;

export const vendorMechanisms = {
  CKM_CLOUDHSM_SP800_108_COUNTER_KDF: VENDOR_DEFINED + 0x1,
  CKM_CLOUDHSM_AES_GCM: VENDOR_DEFINED + 0x1087,
  CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD: VENDOR_DEFINED + 0x2109,
  CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD: VENDOR_DEFINED + 0x210a,
  CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD: VENDOR_DEFINED + 0x216f,
  // Guesses: CKM_EDDSA, CKM_ML_DSA_KEY_PAIR_GEN and CKM_ML_DSA of v3.x; v3.2 has no twin of the last one.
  CKM_CLOUDHSM_EDDSA: VENDOR_DEFINED + 0x1057,
  CKM_CLOUDHSM_ML_DSA_KEY_PAIR_GEN: VENDOR_DEFINED + 0x1c,
  CKM_CLOUDHSM_ML_DSA: VENDOR_DEFINED + 0x1d,
  CKM_CLOUDHSM_EXT_MU_ML_DSA: VENDOR_DEFINED + 0x101d,
} as const;

/** A guess: CKK_ML_DSA of v3.2. */
export const vendorKeyTypes = { CKK_CLOUDHSM_ML_DSA: VENDOR_DEFINED + 0x4a } as const;

/** A guess: CKA_PARAMETER_SET of v3.2. */
export const vendorAttributes = { CKA_CLOUDHSM_PARAMETER_SET: VENDOR_DEFINED + 0x61d } as const;

/** Guesses: CKP_ML_DSA_44, _65 and _87 of v3.2. */
export const vendorParameterSets = {
  CKP_CLOUDHSM_ML_DSA_44: 1,
  CKP_CLOUDHSM_ML_DSA_65: 2,
  CKP_CLOUDHSM_ML_DSA_87: 3,
} as const;

/** Key derivation functions of ECDH. Guesses: CKD_SHA1_KDF to CKD_SHA512_KDF of v2.40. */
export const vendorDerivations = {
  CKD_CLOUDHSM_X963_SHA1_KDF: VENDOR_DEFINED + 0x2,
  CKD_CLOUDHSM_X963_SHA224_KDF: VENDOR_DEFINED + 0x5,
  CKD_CLOUDHSM_X963_SHA256_KDF: VENDOR_DEFINED + 0x6,
  CKD_CLOUDHSM_X963_SHA384_KDF: VENDOR_DEFINED + 0x7,
  CKD_CLOUDHSM_X963_SHA512_KDF: VENDOR_DEFINED + 0x8,
} as const;

/** CK_PRF_DATA_PARAM.type (reference section 10.2): first the style in which the caller orders the data, then the one in
 * which the order is fixed. */
export const prfDataTypes = {
  CK_SP800_108_ITERATION_VARIABLE: 1,
  CK_SP800_108_DKM_LENGTH: 2,
  CK_SP800_108_BYTE_ARRAY: 3,
  SP800_108_COUNTER_FORMAT: 4,
  SP800_108_PRF_LABEL: 5,
  SP800_108_PRF_CONTEXT: 6,
  SP800_108_DKM_FORMAT: 7,
  SP800_108_BYTE_ARRAY: 8,
} as const;

/** CK_SP800_108_DKM_LENGTH_FORMAT.dkmLengthMethod. */
export const dkmLengthMethods = {
  SP800_108_DKM_LENGTH_SUM_OF_KEYS: 1,
  SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS: 2,
} as const;

/** Names that only the header has: other names for the above, and a mechanism that was never usable. */
export const vendorAliases = {
  CKM_SP800_108_COUNTER_KDF: 'CKM_CLOUDHSM_SP800_108_COUNTER_KDF',
  CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS: 'SP800_108_DKM_LENGTH_SUM_OF_KEYS',
  CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS: 'SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS',
} as const;
export const vendorUnusable = { CKM_DES3_NIST_WRAP: VENDOR_DEFINED + 0x8000 } as const;
