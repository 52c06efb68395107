/* CK_MECHANISM: every shape a parameter can have, and those nobody may follow. */
#include <stdlib.h>

#include "packing.h"

static void pack_mechanism(CK_MECHANISM *mechanism)
{
  const union value values[] = {{.number = 1}, {.pointer = mechanism}, {.number = 2}};
  CHECK_THAT(pack(CALL_C_EncryptInit, values) == CKR_OK);
}

#define MECHANISM_IS(...) \
  REQUEST_IS(put_u16(m, CALL_C_EncryptInit), put_u64(m, 1), __VA_ARGS__, put_u64(m, 2))

static void flat_parameters(void)
{
  CK_BYTE iv[16] = "0123456789abcdef", aad[] = "aad";
  pack_mechanism(NULL);
  MECHANISM_IS(put_u8(m, FORM_NULL_MECHANISM));
  CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 16}, ecb_with = {CKM_AES_ECB, iv, 16}, cbc = {CKM_AES_CBC, iv, 16};
  pack_mechanism(&ecb);
  MECHANISM_IS(put_u8(m, FORM_NONE), put_u64(m, CKM_AES_ECB));
  pack_mechanism(&ecb_with);
  MECHANISM_IS(put_u8(m, FORM_UNUSABLE), put_u64(m, CKM_AES_ECB), put_u64(m, 16));
  pack_mechanism(&cbc);
  MECHANISM_IS(put_u8(m, FORM_BYTES), put_u64(m, CKM_AES_CBC), put_counted(m, iv, 16));

  CK_GCM_PARAMS gcm = {iv, 12, 96, aad, 3, 128};
  CK_MECHANISM with_gcm = {CKM_AES_GCM, &gcm, sizeof gcm};
  pack_mechanism(&with_gcm);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_AES_GCM), put_u8(m, LAYOUT_CK_GCM_PARAMS),
               put_counted(m, iv, 12), put_u64(m, 96), put_counted(m, aad, 3), put_u64(m, 128));
  CK_AES_CTR_PARAMS ctr = {.ulCounterBits = 32};
  memcpy(ctr.cb, iv, 16);
  CK_MECHANISM with_ctr = {CKM_AES_CTR, &ctr, sizeof ctr};
  pack_mechanism(&with_ctr);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_AES_CTR), put_u8(m, LAYOUT_CK_AES_CTR_PARAMS),
               put_u64(m, 32), put_bytes(m, iv, 16));

  for (CK_ULONG length = 1; length < sizeof gcm + 3; length++) { /* only the right length is read */
    unsigned char *exact = malloc(length);
    memset(exact, 0x41, length);
    if (length == sizeof gcm) memcpy(exact, &gcm, sizeof gcm);
    CK_MECHANISM other = {CKM_AES_GCM, exact, length};
    pack_mechanism(&other);
    CHECK_THAT(request.bytes[10] == (length == sizeof gcm ? FORM_STRUCT : FORM_UNUSABLE));
    free(exact);
  }
  gcm.pAAD = NULL;
  pack_mechanism(&with_gcm);
  MECHANISM_IS(put_u8(m, FORM_UNUSABLE), put_u64(m, CKM_AES_GCM), put_u64(m, sizeof gcm));
  gcm.ulAADLen = 0;
  pack_mechanism(&with_gcm);
  CHECK_THAT(request.bytes[10] == FORM_STRUCT);

  CK_BYTE crooked[sizeof ctr + 1]; /* unaligned, as a parameter within a byte array may be */
  memcpy(crooked + 1, &ctr, sizeof ctr);
  CK_MECHANISM unaligned = {CKM_AES_CTR, crooked + 1, sizeof ctr};
  pack_mechanism(&unaligned);
  CHECK_THAT(request.bytes[10] == FORM_STRUCT);
}

static void expect_unusable(CK_MECHANISM_TYPE type, void *parameter, CK_ULONG length)
{
  CK_MECHANISM mechanism = {type, parameter, length};
  pack_mechanism(&mechanism);
  MECHANISM_IS(put_u8(m, FORM_UNUSABLE), put_u64(m, type), put_u64(m, length));
}

static void lengths_before_pointers(void)
{
  CK_BYTE shared[] = "info", point[] = "point";
  CK_ECDH1_DERIVE_PARAMS ecdh = {CKD_CLOUDHSM_X963_SHA256_KDF, 4, shared, 5, point};
  CK_MECHANISM derive = {CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh};
  pack_mechanism(&derive);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_ECDH1_DERIVE), put_u8(m, LAYOUT_CK_ECDH1_DERIVE_PARAMS),
               put_u64(m, CKD_CLOUDHSM_X963_SHA256_KDF), put_counted(m, "info", 4),
               put_counted(m, "point", 5));
  ecdh.pPublicData = NULL;
  expect_unusable(CKM_ECDH1_DERIVE, &ecdh, sizeof ecdh);

  CK_EDDSA_PARAMS eddsa = {CK_TRUE, 0, NULL};
  CK_MECHANISM sign = {CKM_CLOUDHSM_EDDSA, &eddsa, sizeof eddsa};
  pack_mechanism(&sign);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_CLOUDHSM_EDDSA), put_u8(m, LAYOUT_CK_EDDSA_PARAMS),
               put_u8(m, 1), put_u32(m, 0));
  eddsa.ulContextDataLen = 1;
  expect_unusable(CKM_CLOUDHSM_EDDSA, &eddsa, sizeof eddsa);
}

static void nested_structure(void)
{
  CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, 0, NULL, 0};
  CK_RSA_AES_KEY_WRAP_PARAMS wrap = {256, &oaep};
  CK_MECHANISM mechanism = {CKM_RSA_AES_KEY_WRAP, &wrap, sizeof wrap};
  pack_mechanism(&mechanism);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_RSA_AES_KEY_WRAP),
               put_u8(m, LAYOUT_CK_RSA_AES_KEY_WRAP_PARAMS), put_u64(m, 256), put_u64(m, CKM_SHA256),
               put_u64(m, CKG_MGF1_SHA256), put_u64(m, 0), put_u32(m, 0), put_u8(m, 0));
  oaep.pSourceData = &oaep;
  pack_mechanism(&mechanism);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_RSA_AES_KEY_WRAP),
               put_u8(m, LAYOUT_CK_RSA_AES_KEY_WRAP_PARAMS), put_u64(m, 256), put_u64(m, CKM_SHA256),
               put_u64(m, CKG_MGF1_SHA256), put_u64(m, 0), put_u32(m, 0), put_u8(m, 1));
  oaep.pSourceData = NULL;
  oaep.ulSourceDataLen = 7;
  expect_unusable(CKM_RSA_AES_KEY_WRAP, &wrap, sizeof wrap);
  wrap.pOAEPParams = NULL;
  expect_unusable(CKM_RSA_AES_KEY_WRAP, &wrap, sizeof wrap);
}

static void array_of_structures(void)
{
  CK_SP800_108_COUNTER_FORMAT counter = {32};
  CK_BYTE label[] = "label";
  CK_PRF_DATA_PARAM data[LIMIT_PARAMETER_ENTRIES + 1] = {
    {SP800_108_COUNTER_FORMAT, &counter, sizeof counter},
    {SP800_108_PRF_LABEL, label, 5},
  };
  CK_SP800_108_KDF_PARAMS kdf = {CKM_SHA256_HMAC, 2, data};
  CK_MECHANISM mechanism = {CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf};
  pack_mechanism(&mechanism);
  MECHANISM_IS(put_u8(m, FORM_STRUCT), put_u64(m, CKM_SP800_108_COUNTER_KDF),
               put_u8(m, LAYOUT_CK_SP800_108_KDF_PARAMS), put_u64(m, CKM_SHA256_HMAC), put_u32(m, 2),
               put_u64(m, SP800_108_COUNTER_FORMAT), put_counted(m, &counter, sizeof counter),
               put_u64(m, SP800_108_PRF_LABEL), put_counted(m, "label", 5));
  kdf.ulNumberOfDataParams = LIMIT_PARAMETER_ENTRIES;
  pack_mechanism(&mechanism);
  CHECK_THAT(request.bytes[10] == FORM_STRUCT);
  kdf.ulNumberOfDataParams = LIMIT_PARAMETER_ENTRIES + 1;
  expect_unusable(CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf);
  kdf.ulNumberOfDataParams = ~0UL; /* nothing of it may be read */
  expect_unusable(CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf);
  kdf.ulNumberOfDataParams = 2;
  data[1].pValue = NULL;
  expect_unusable(CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf);
  kdf.pDataParams = NULL;
  expect_unusable(CKM_SP800_108_COUNTER_KDF, &kdf, sizeof kdf);
  kdf.ulNumberOfDataParams = 0;
  pack_mechanism(&mechanism);
  CHECK_THAT(request.bytes[10] == FORM_STRUCT);

  CK_BYTE crooked[sizeof data + 1]; /* unaligned, at both levels */
  data[1].pValue = label;
  memcpy(crooked + 1, data, sizeof data);
  kdf = (CK_SP800_108_KDF_PARAMS){CKM_SHA256_HMAC, 2, (CK_PRF_DATA_PARAM_PTR)(void *)(crooked + 1)};
  pack_mechanism(&mechanism);
  CHECK_THAT(request.bytes[10] == FORM_STRUCT);
}

void packed_mechanisms(void)
{
  flat_parameters();
  lengths_before_pointers();
  nested_structure();
  array_of_structures();
}
