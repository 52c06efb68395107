#include "keys.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SECRET_KEY_BYTES 32

static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
#define YES &yes, sizeof yes
#define NO &no, sizeof no

static CK_OBJECT_HANDLE generate_secret(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_ATTRIBUTE use,
                                        CK_ATTRIBUTE inverse, const char *label, bool token)
{
  CK_MECHANISM mechanism = {.mechanism = type};
  CK_ULONG bytes = SECRET_KEY_BYTES;
  CK_OBJECT_HANDLE key;
  CK_ATTRIBUTE template[] = {
      {CKA_VALUE_LEN, &bytes, sizeof bytes},
      {CKA_TOKEN, token ? &yes : &no, sizeof yes},
      {CKA_PRIVATE, YES},
      {CKA_SENSITIVE, YES},
      {CKA_EXTRACTABLE, NO},
      {CKA_LABEL, (CK_VOID_PTR)label, strlen(label)},
      {CKA_ID, (CK_VOID_PTR)label, strlen(label)},
      use,
      inverse,
  };
  CALL(C_GenerateKey, session, &mechanism, template, COUNT(template), &key);
  return key;
}

CK_OBJECT_HANDLE generate_aes(CK_SESSION_HANDLE session, const char *label, bool token)
{
  return generate_secret(session, CKM_AES_KEY_GEN, (CK_ATTRIBUTE){CKA_ENCRYPT, YES},
                         (CK_ATTRIBUTE){CKA_DECRYPT, YES}, label, token);
}

CK_OBJECT_HANDLE generate_hmac(CK_SESSION_HANDLE session, bool token)
{
  return generate_secret(session, CKM_GENERIC_SECRET_KEY_GEN, (CK_ATTRIBUTE){CKA_SIGN, YES},
                         (CK_ATTRIBUTE){CKA_VERIFY, YES}, "bench-hmac", token);
}

static void generate_pair(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_ATTRIBUTE size,
                          CK_ATTRIBUTE exponent, bool token, CK_OBJECT_HANDLE *public_key,
                          CK_OBJECT_HANDLE *key)
{
  CK_MECHANISM mechanism = {.mechanism = type};
  CK_ATTRIBUTE where = {CKA_TOKEN, token ? &yes : &no, sizeof yes};
  CK_ATTRIBUTE private_template[] = {
      where, {CKA_PRIVATE, YES}, {CKA_SENSITIVE, YES}, {CKA_EXTRACTABLE, NO}, {CKA_SIGN, YES},
  };
  CK_ATTRIBUTE public_template[] = {size, where, {CKA_PRIVATE, YES}, {CKA_VERIFY, YES}, exponent};
  CK_ULONG public_count = COUNT(public_template) - (exponent.pValue == NULL ? 1 : 0);
  CALL(C_GenerateKeyPair, session, &mechanism, public_template, public_count, private_template,
       COUNT(private_template), public_key, key);
}

void generate_rsa(CK_SESSION_HANDLE session, CK_ULONG bits, bool token, CK_OBJECT_HANDLE *public_key,
                  CK_OBJECT_HANDLE *key)
{
  CK_BYTE f4[] = {1, 0, 1};
  generate_pair(session, CKM_RSA_PKCS_KEY_PAIR_GEN, (CK_ATTRIBUTE){CKA_MODULUS_BITS, &bits, sizeof bits},
                (CK_ATTRIBUTE){CKA_PUBLIC_EXPONENT, f4, sizeof f4}, token, public_key, key);
}

void generate_ec(CK_SESSION_HANDLE session, CK_ULONG bits, bool token, CK_OBJECT_HANDLE *public_key,
                 CK_OBJECT_HANDLE *key)
{
  static CK_BYTE p256[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
  static CK_BYTE p384[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
  static CK_BYTE p521[] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23};
  CK_ATTRIBUTE parameters = {CKA_EC_PARAMS, p256, sizeof p256};
  if (bits == 384) parameters = (CK_ATTRIBUTE){CKA_EC_PARAMS, p384, sizeof p384};
  else if (bits == 521) parameters = (CK_ATTRIBUTE){CKA_EC_PARAMS, p521, sizeof p521};
  else if (bits != 256) fail("curves: 256, 384, 521");
  generate_pair(session, CKM_EC_KEY_PAIR_GEN, parameters, (CK_ATTRIBUTE){0, NULL, 0}, token,
                public_key, key);
}

void population_label(char label[LABEL_ROOM], unsigned long number)
{
  snprintf(label, LABEL_ROOM, "bench-%08lu", number);
}

CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, const char *label)
{
  CK_ATTRIBUTE template[] = {{CKA_LABEL, (CK_VOID_PTR)label, strlen(label)}};
  CK_OBJECT_HANDLE found[2];
  CK_ULONG count = 0;
  CALL(C_FindObjectsInit, session, template, COUNT(template));
  CALL(C_FindObjects, session, found, COUNT(found), &count);
  CALL(C_FindObjectsFinal, session);
  expect(count == 1, "one key has the label");
  return found[0];
}
