/* Wrapping keys as AWS's sample programs do it (reference section 19), and nested templates read as the standard
 * says. */
#include <stdlib.h>
#include <string.h>

#include "behaviour_support.h"

#define IV_BYTES 12
#define ROOM 2048

static CK_OBJECT_CLASS secret_class = CKO_SECRET_KEY, private_class = CKO_PRIVATE_KEY;
static CK_KEY_TYPE aes_type = CKK_AES, rsa_type = CKK_RSA;

static CK_OBJECT_HANDLE generate_aes(CK_SESSION_HANDLE session, CK_ATTRIBUTE *more, CK_ULONG count)
{
  CK_ULONG length = 32;
  CK_ATTRIBUTE template[16] = {THE(CKA_VALUE_LEN, length)};
  CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
  CK_OBJECT_HANDLE key;
  memcpy(template + 1, more, count * sizeof *more);
  must("C_GenerateKey", p->C_GenerateKey(session, &mechanism, template, count + 1, &key));
  return key;
}

/* Length query, wrapping, unwrapping: what the samples do. The name of the first one that fails is told. */
static CK_OBJECT_HANDLE there_and_back(CK_SESSION_HANDLE session, const char *name, CK_MECHANISM *mechanism,
                                       CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE unwrapping,
                                       CK_OBJECT_HANDLE key, CK_ATTRIBUTE *template, CK_ULONG count)
{
  CK_BYTE wrapped[ROOM];
  CK_ULONG asked = 0, length;
  CK_OBJECT_HANDLE back = CK_INVALID_HANDLE;
  CK_RV query = p->C_WrapKey(session, mechanism, wrapping, key, NULL, &asked);
  length = asked - 1;
  CK_RV small = p->C_WrapKey(session, mechanism, wrapping, key, wrapped, &length);
  length = sizeof wrapped;
  CK_RV wrap = p->C_WrapKey(session, mechanism, wrapping, key, wrapped, &length);
  CK_RV unwrap = p->C_UnwrapKey(session, mechanism, unwrapping, wrapped, length, template, count, &back);
  tell("%s 0x%lx 0x%lx 0x%lx 0x%lx %s", name, query, small, wrap, unwrap, asked == length ? "exact" : "wrong length");
  return back;
}

void scene_wrap(void)
{
  CK_SESSION_HANDLE session = start();
  CK_ATTRIBUTE usage[] = {YES(CKA_TOKEN), YES(CKA_WRAP), YES(CKA_UNWRAP)};
  CK_OBJECT_HANDLE kek = generate_aes(session, usage, COUNT(usage)), aes = import_known(session, CKK_AES);
  CK_OBJECT_HANDLE rsa_public, rsa_private;
  must("RSA", generate_rsa(session, 2048, CK_FALSE, "wrapped", &rsa_public, &rsa_private));
  CK_ATTRIBUTE secret[] = {THE(CKA_CLASS, secret_class), THE(CKA_KEY_TYPE, aes_type), NO(CKA_TOKEN),
                           YES(CKA_ENCRYPT)};
  CK_ATTRIBUTE private_key[] = {THE(CKA_CLASS, private_class), THE(CKA_KEY_TYPE, rsa_type), NO(CKA_TOKEN)};

  static const struct {
    const char *name;
    CK_MECHANISM_TYPE type;
  } wraps[] = {{"NO_PAD", CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD},
               {"PKCS5_PAD", CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD},
               {"ZERO_PAD", CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD}};
  for (size_t i = 0; i < COUNT(wraps); i++) {
    CK_MECHANISM mechanism = {wraps[i].type, NULL, 0};
    there_and_back(session, wraps[i].name, &mechanism, kek, kek, aes, secret, COUNT(secret));
    if (i > 0) there_and_back(session, wraps[i].name, &mechanism, kek, kek, rsa_private, private_key, COUNT(private_key));
  }

  CK_BYTE iv[IV_BYTES] = {0}, zero[IV_BYTES] = {0};
  CK_GCM_PARAMS parameters = {iv, IV_BYTES, 0, NULL, 0, 128};
  CK_MECHANISM gcm = {CKM_AES_GCM, &parameters, sizeof parameters};
  there_and_back(session, "AES_GCM", &gcm, kek, kek, rsa_private, private_key, COUNT(private_key));
  tell("the IV %s", memcmp(iv, zero, sizeof iv) == 0 ? "is not there" : "is there");
  parameters.pIv = NULL;
  parameters.ulIvLen = 0;
  gcm.mechanism = CKM_CLOUDHSM_AES_GCM;
  there_and_back(session, "CLOUDHSM_AES_GCM", &gcm, kek, kek, rsa_private, private_key, COUNT(private_key));

  CK_ULONG bits = 2048;
  CK_BYTE exponent[] = {1, 0, 1};
  CK_ATTRIBUTE wraps_template[] = {THE(CKA_MODULUS_BITS, bits), THE(CKA_PUBLIC_EXPONENT, exponent), YES(CKA_TOKEN),
                                   YES(CKA_WRAP)};
  CK_ATTRIBUTE unwraps_template[] = {YES(CKA_TOKEN), YES(CKA_UNWRAP)};
  CK_MECHANISM generation = {CKM_RSA_X9_31_KEY_PAIR_GEN, NULL, 0};
  must("pair", p->C_GenerateKeyPair(session, &generation, wraps_template, COUNT(wraps_template), unwraps_template,
                                    COUNT(unwraps_template), &rsa_public, &rsa_private));
  CK_RSA_PKCS_OAEP_PARAMS oaep = {CKM_SHA256, CKG_MGF1_SHA256, 0, NULL, 0};
  CK_MECHANISM with_oaep = {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep};
  there_and_back(session, "RSA_PKCS_OAEP", &with_oaep, rsa_public, rsa_private, aes, secret, COUNT(secret));
  CK_RSA_AES_KEY_WRAP_PARAMS rsa_aes = {256, &oaep};
  CK_MECHANISM with_rsa_aes = {CKM_RSA_AES_KEY_WRAP, &rsa_aes, sizeof rsa_aes};
  CK_OBJECT_HANDLE back =
      there_and_back(session, "RSA_AES_KEY_WRAP", &with_rsa_aes, rsa_public, rsa_private, aes, secret, COUNT(secret));

  CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
  CK_BYTE block[16];
  CK_ULONG length = sizeof block;
  must("C_EncryptInit", p->C_EncryptInit(session, &ecb, back));
  must("C_Encrypt", p->C_Encrypt(session, known_key, sizeof block, block, &length));
  say_bytes("block", block, length);
  rsa_aes.pOAEPParams = NULL;
  say("no OAEP parameters", p->C_WrapKey(session, &with_rsa_aes, rsa_public, aes, NULL, &length));
  say("no mechanism", p->C_WrapKey(session, NULL, rsa_public, aes, NULL, &length));
  say("C_Finalize", p->C_Finalize(NULL));
}

static CK_RV read_one(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ATTRIBUTE *attribute)
{
  return p->C_GetAttributeValue(session, key, attribute, 1);
}

void scene_nested(void)
{
  CK_SESSION_HANDLE session = start();
  CK_ATTRIBUTE inner[] = {YES(CKA_ENCRYPT), TEXT(CKA_LABEL, "backup")};
  CK_ATTRIBUTE usage[] = {YES(CKA_WRAP), {CKA_WRAP_TEMPLATE, inner, sizeof inner}};
  CK_OBJECT_HANDLE key = generate_aes(session, usage, COUNT(usage));

  CK_ATTRIBUTE outer = {CKA_WRAP_TEMPLATE, NULL, 0};
  say("how long", read_one(session, key, &outer));
  tell("entries %lu", outer.ulValueLen / sizeof(CK_ATTRIBUTE));
  CK_ATTRIBUTE entries[2] = {{0}};
  outer.pValue = entries;
  say("which ones", read_one(session, key, &outer));
  for (int i = 0; i < 2; i++) tell("entry 0x%lx %lu", entries[i].type, entries[i].ulValueLen);
  CK_BYTE flag = 7, label[6];
  entries[0].pValue = &flag;
  entries[1].pValue = label;
  say("the values", read_one(session, key, &outer));
  tell("values %d %.6s", flag, (char *)label);

  entries[1].ulValueLen = 5;
  say("a value that does not fit", read_one(session, key, &outer));
  tell("entry 0x%lx %s", entries[1].type, entries[1].ulValueLen == CK_UNAVAILABLE_INFORMATION ? "-1" : "a length");
  outer.ulValueLen = sizeof entries[0];
  say("too few entries", read_one(session, key, &outer));
  tell("length %s", outer.ulValueLen == CK_UNAVAILABLE_INFORMATION ? "-1" : "another");

  memset(entries, 0x5a, sizeof entries); /* as malloc may leave it: pointers that lead nowhere */
  outer.ulValueLen = sizeof entries;
  say("an array that is not initialised", read_one(session, key, &outer));
  tell("entry 0x%lx %lu", entries[1].type, entries[1].ulValueLen);

  CK_OBJECT_HANDLE plain = generate_aes(session, usage, 1);
  outer = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, NULL, 1};
  say("a key without one", read_one(session, plain, &outer));
  tell("entries %lu", outer.ulValueLen);

  CK_ATTRIBUTE twice[] = {YES(CKA_ENCRYPT), YES(CKA_ENCRYPT)};
  usage[1] = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, twice, sizeof twice};
  CK_MECHANISM generation = {CKM_AES_KEY_GEN, NULL, 0};
  CK_ULONG length = 32;
  CK_ATTRIBUTE template[] = {THE(CKA_VALUE_LEN, length), usage[0], usage[1]};
  say("an entry twice", p->C_GenerateKey(session, &generation, template, 3, &key));
  template[2] = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, usage, sizeof usage};
  say("a template within", p->C_GenerateKey(session, &generation, template, 3, &key));
  template[2] = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, usage, sizeof usage - 1};
  say("no array", p->C_GenerateKey(session, &generation, template, 3, &key));
  say("C_Finalize", p->C_Finalize(NULL));
}
