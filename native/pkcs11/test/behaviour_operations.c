/* Rows 11 and 14: GCM and its IV, operations cancelled, asked for lengths, and given too little room. */
#include <stdlib.h>
#include <string.h>

#include "behaviour_support.h"

#define IV_BYTES 12
#define TAG_BYTES 16

static CK_BYTE plain[] = "twenty-one bytes long";
#define PLAIN_BYTES (sizeof plain - 1)
static CK_BYTE aad[] = "and more";

/* Row 11. Encrypts with parameters that are gone once C_EncryptInit returned; tells IV and output. */
static void encrypt_gcm(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE fill)
{
  CK_BYTE iv[IV_BYTES], output[PLAIN_BYTES + TAG_BYTES];
  CK_ULONG length = 0;
  CK_GCM_PARAMS *parameters = calloc(1, sizeof *parameters);
  CK_BYTE *given_iv = malloc(IV_BYTES), *given_aad = malloc(sizeof aad);
  if (parameters == NULL || given_iv == NULL || given_aad == NULL) exit(3);
  memset(given_iv, fill, IV_BYTES);
  memcpy(given_aad, aad, sizeof aad);
  *parameters = (CK_GCM_PARAMS){given_iv, IV_BYTES, 0, given_aad, sizeof aad - 1, 8 * TAG_BYTES};
  CK_MECHANISM mechanism = {CKM_AES_GCM, parameters, sizeof *parameters};
  say("C_EncryptInit", p->C_EncryptInit(session, &mechanism, key));
  memcpy(iv, given_iv, IV_BYTES);
  memset(given_iv, 0xaa, IV_BYTES);
  memset(given_aad, 0xaa, sizeof aad);
  memset(parameters, 0xaa, sizeof *parameters);
  free(given_iv);
  free(given_aad);
  free(parameters);
  CK_RV rv = p->C_Encrypt(session, plain, PLAIN_BYTES, NULL, &length);
  tell("C_Encrypt(NULL) 0x%lx: %lu", rv, length);
  length = sizeof output;
  rv = p->C_Encrypt(session, plain, PLAIN_BYTES, output, &length);
  tell("C_Encrypt 0x%lx: %lu", rv, length);
  say_bytes("iv", iv, IV_BYTES);
  say_bytes("output", output, length);

  CK_GCM_PARAMS same = {iv, IV_BYTES, 0, aad, sizeof aad - 1, 8 * TAG_BYTES};
  CK_MECHANISM decryption = {CKM_AES_GCM, &same, sizeof same};
  CK_BYTE back[sizeof output] = {0};
  CK_ULONG back_length = sizeof back;
  must("C_DecryptInit", p->C_DecryptInit(session, &decryption, key));
  rv = p->C_Decrypt(session, output, length, back, &back_length);
  tell("C_Decrypt 0x%lx: %s", rv, back);
}

void scene_gcm(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE key = import_known(session, CKK_AES);
  encrypt_gcm(session, key, 0);
  encrypt_gcm(session, key, 0);
  encrypt_gcm(session, key, 7);
  say("C_Finalize", p->C_Finalize(NULL));
}

static void refuse_gcm(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const char *name,
                       CK_GCM_PARAMS parameters, CK_ULONG size)
{
  CK_MECHANISM mechanism = {CKM_AES_GCM, &parameters, size};
  CK_RV encryption = p->C_EncryptInit(session, &mechanism, key);
  tell("%s 0x%lx 0x%lx", name, encryption, p->C_DecryptInit(session, &mechanism, key));
}

void scene_gcm_refused(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE key = import_known(session, CKK_AES);
  CK_BYTE iv[IV_BYTES] = {0}, output[64];
  CK_ULONG length = sizeof output;
  const CK_GCM_PARAMS good = {iv, IV_BYTES, 0, NULL, 0, 128};
  CK_GCM_PARAMS bad = good;
  bad.pIv = NULL;
  refuse_gcm(session, key, "an IV that is NULL", bad, sizeof bad);
  bad.ulIvLen = 0;
  refuse_gcm(session, key, "no IV", bad, sizeof bad);
  bad.pIv = iv;
  refuse_gcm(session, key, "an IV of 0 bytes", bad, sizeof bad);
  bad = good;
  bad.ulTagBits = 129;
  refuse_gcm(session, key, "a tag of 129 bits", bad, sizeof bad);
  bad = good;
  bad.ulAADLen = 8;
  refuse_gcm(session, key, "AAD that is NULL", bad, sizeof bad);
  refuse_gcm(session, key, "40 bytes", good, 40);
  refuse_gcm(session, key, "49 bytes", good, 49);
  refuse_gcm(session, key, "0 bytes", good, 0);
  say("C_Encrypt", p->C_Encrypt(session, plain, PLAIN_BYTES, output, &length));
  refuse_gcm(session, key, "the good one", good, sizeof good);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 14. How a session with an operation is reused: begin, be refused a second, cancel, begin. */
void scene_cancel(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE aes = import_known(session, CKK_AES), secret = import_known(session, CKK_GENERIC_SECRET);
  CK_BYTE output[64];
  CK_ULONG length = sizeof output;
  CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0}, hmac = {CKM_SHA256_HMAC, NULL, 0}, sha = {CKM_SHA256, NULL, 0};
  for (int round = 0; round < 2; round++) {
    say("C_SignInit", p->C_SignInit(session, &hmac, secret));
    say("C_VerifyInit", p->C_VerifyInit(session, &hmac, secret));
    say("C_EncryptInit", p->C_EncryptInit(session, &ecb, aes));
    say("C_DecryptInit", p->C_DecryptInit(session, &ecb, aes));
    say("C_DigestInit", p->C_DigestInit(session, &sha));
    say("C_SignInit again", p->C_SignInit(session, &hmac, secret));
    say("C_SignUpdate", p->C_SignUpdate(session, plain, PLAIN_BYTES));
    say("C_DigestUpdate", p->C_DigestUpdate(session, plain, PLAIN_BYTES));
    say("C_SignInit(NULL)", p->C_SignInit(session, NULL, secret));
    say("C_VerifyInit(NULL)", p->C_VerifyInit(session, NULL, secret));
    say("C_EncryptInit(NULL)", p->C_EncryptInit(session, NULL, aes));
    say("C_DecryptInit(NULL)", p->C_DecryptInit(session, NULL, aes));
    say("C_DigestInit(NULL)", p->C_DigestInit(session, NULL));
  }
  say("C_Sign", p->C_Sign(session, plain, PLAIN_BYTES, output, &length));
  must("C_DigestInit", p->C_DigestInit(session, &sha));
  say("C_GetOperationState(NULL)", p->C_GetOperationState(session, NULL, &length));
  say("C_GetOperationState", p->C_GetOperationState(session, output, &length));
  say("C_Digest", p->C_Digest(session, plain, PLAIN_BYTES, output, &length));
  say_bytes("digest", output, length);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Hash and sign, in one piece and in parts of 1000 bytes. */
static void sign_size(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_BYTE *data, CK_ULONG size)
{
  CK_BYTE whole[RSA_BYTES] = {0}, parts[RSA_BYTES] = {0};
  CK_ULONG whole_length = RSA_BYTES, parts_length = RSA_BYTES;
  CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
  must("C_Sign", sign(session, mechanism.mechanism, key, data, size, whole, &whole_length));
  must("C_SignInit", p->C_SignInit(session, &mechanism, key));
  for (CK_ULONG at = 0; at < size; at += 1000) {
    must("C_SignUpdate", p->C_SignUpdate(session, data + at, size - at < 1000 ? size - at : 1000));
  }
  must("C_SignFinal", p->C_SignFinal(session, parts, &parts_length));
  tell("%lu bytes: %s", size, memcmp(whole, parts, RSA_BYTES) == 0 ? "the same" : "different");
  say_bytes("signature", whole, whole_length);
}

void scene_sizes(void)
{
  static const CK_ULONG sizes[] = {0, 16383, 16384, 16385, 65535, 65536, 65537, 1048576};
  static CK_BYTE data[1048576], modulus[RSA_BYTES];
  CK_OBJECT_HANDLE public_key, private_key;
  CK_ATTRIBUTE attribute = THE(CKA_MODULUS, modulus);
  CK_SESSION_HANDLE session = start();
  for (size_t i = 0; i < sizeof data; i++) data[i] = (CK_BYTE)(i % 251);
  must("C_GenerateKeyPair", generate_rsa(session, 2048, CK_FALSE, "row 14", &public_key, &private_key));
  must("C_GetAttributeValue", p->C_GetAttributeValue(session, public_key, &attribute, 1));
  say_bytes("modulus", modulus, attribute.ulValueLen);
  for (size_t i = 0; i < COUNT(sizes); i++) sign_size(session, private_key, data, sizes[i]);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* A call that is asked its length twice, offered too little room, and then done: each answer and length. */
#define TAKE(name, call, room)                                             \
  do {                                                                     \
    CK_BYTE *output = NULL;                                                \
    CK_ULONG length = 0;                                                   \
    CK_RV asked = call;                                                    \
    CK_ULONG wanted = length;                                              \
    CK_RV again = call;                                                    \
    tell(name " asked 0x%lx: %lu, 0x%lx: %lu", asked, wanted, again, length); \
    output = taken;                                                        \
    length = (room) - 1;                                                   \
    CK_RV small = call;                                                    \
    tell(name " short 0x%lx: %lu", small, length);                         \
    length = sizeof taken;                                                 \
    CK_RV rv = call;                                                       \
    tell(name " 0x%lx: %lu", rv, length);                                  \
    say_bytes(name, taken, length);                                        \
  } while (0)

static CK_BYTE taken[64];
static CK_BYTE cbc_iv[16] = {1, 2, 3};

void scene_lengths(void)
{
  CK_SESSION_HANDLE s = start();
  CK_OBJECT_HANDLE aes = import_known(s, CKK_AES), secret = import_known(s, CKK_GENERIC_SECRET);
  CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0}, sha = {CKM_SHA256, NULL, 0};
  CK_MECHANISM cbc = {CKM_AES_CBC_PAD, cbc_iv, sizeof cbc_iv};
  must("C_SignInit", p->C_SignInit(s, &hmac, secret));
  TAKE("C_Sign", p->C_Sign(s, plain, PLAIN_BYTES, output, &length), 32);
  must("C_SignInit", p->C_SignInit(s, &hmac, secret));
  must("C_SignUpdate", p->C_SignUpdate(s, plain, PLAIN_BYTES));
  TAKE("C_SignFinal", p->C_SignFinal(s, output, &length), 32);
  must("C_DigestInit", p->C_DigestInit(s, &sha));
  TAKE("C_Digest", p->C_Digest(s, plain, PLAIN_BYTES, output, &length), 32);
  must("C_DigestInit", p->C_DigestInit(s, &sha));
  must("C_DigestUpdate", p->C_DigestUpdate(s, plain, PLAIN_BYTES));
  TAKE("C_DigestFinal", p->C_DigestFinal(s, output, &length), 32);
  must("C_EncryptInit", p->C_EncryptInit(s, &cbc, aes));
  TAKE("C_Encrypt", p->C_Encrypt(s, plain, PLAIN_BYTES, output, &length), 32);
  CK_BYTE encrypted[32];
  memcpy(encrypted, taken, sizeof encrypted);
  must("C_DecryptInit", p->C_DecryptInit(s, &cbc, aes));
  TAKE("C_Decrypt", p->C_Decrypt(s, encrypted, sizeof encrypted, output, &length), PLAIN_BYTES);
  say("C_Sign over", p->C_Sign(s, plain, PLAIN_BYTES, taken, &(CK_ULONG){sizeof taken}));
  say("C_Finalize", p->C_Finalize(NULL));
}

void scene_parts(void)
{
  CK_SESSION_HANDLE s = start();
  CK_OBJECT_HANDLE aes = import_known(s, CKK_AES);
  CK_MECHANISM cbc = {CKM_AES_CBC_PAD, cbc_iv, sizeof cbc_iv};
  CK_BYTE encrypted[32];
  must("C_EncryptInit", p->C_EncryptInit(s, &cbc, aes));
  TAKE("C_EncryptUpdate", p->C_EncryptUpdate(s, plain, PLAIN_BYTES, output, &length), 16);
  memcpy(encrypted, taken, 16);
  TAKE("C_EncryptFinal", p->C_EncryptFinal(s, output, &length), 16);
  memcpy(encrypted + 16, taken, 16);
  must("C_DecryptInit", p->C_DecryptInit(s, &cbc, aes));
  TAKE("C_DecryptUpdate", p->C_DecryptUpdate(s, encrypted, sizeof encrypted, output, &length), 16);
  TAKE("C_DecryptFinal", p->C_DecryptFinal(s, output, &length), 5);
  say("C_DecryptFinal over", p->C_DecryptFinal(s, taken, &(CK_ULONG){sizeof taken}));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* A call that the module refuses by itself, and whether another operation can be begun after it. */
#define REFUSE(name, init, call)                               \
  do {                                                         \
    must("Init", init);                                        \
    CK_RV refused = call;                                      \
    tell(name " 0x%lx, begun again 0x%lx", refused, init);     \
  } while (0)

/* More than travels at once. */
#define ENORMOUS (65UL << 20)

void scene_refused(void)
{
  CK_SESSION_HANDLE s = start();
  CK_OBJECT_HANDLE aes = import_known(s, CKK_AES), secret = import_known(s, CKK_GENERIC_SECRET);
  CK_MECHANISM hmac = {CKM_SHA256_HMAC, NULL, 0}, sha = {CKM_SHA256, NULL, 0};
  CK_MECHANISM cbc = {CKM_AES_CBC_PAD, cbc_iv, sizeof cbc_iv};
  CK_ULONG length = sizeof taken;
  CK_BYTE *enormous = calloc(1, ENORMOUS);
  if (enormous == NULL) exit(3);
  REFUSE("C_Encrypt", p->C_EncryptInit(s, &cbc, aes), p->C_Encrypt(s, plain, PLAIN_BYTES, taken, NULL));
  REFUSE("C_DecryptUpdate", p->C_DecryptInit(s, &cbc, aes), p->C_DecryptUpdate(s, NULL, 16, taken, &length));
  REFUSE("C_SignFinal", p->C_SignInit(s, &hmac, secret), p->C_SignFinal(s, taken, NULL));
  REFUSE("C_Verify", p->C_VerifyInit(s, &hmac, secret), p->C_Verify(s, plain, PLAIN_BYTES, NULL, 32));
  REFUSE("C_DigestUpdate", p->C_DigestInit(s, &sha), p->C_DigestUpdate(s, NULL, PLAIN_BYTES));
  must("C_EncryptInit(NULL)", p->C_EncryptInit(s, NULL, aes));
  REFUSE("C_Encrypt enormous", p->C_EncryptInit(s, &cbc, aes), p->C_Encrypt(s, enormous, ENORMOUS, NULL, &length));
  must("C_DigestInit(NULL)", p->C_DigestInit(s, NULL));
  REFUSE("C_Digest enormous", p->C_DigestInit(s, &sha), p->C_Digest(s, enormous, ENORMOUS, taken, NULL));
  say("C_EncryptInit refused", p->C_EncryptInit(s, &(CK_MECHANISM){CKM_AES_CBC_PAD, cbc_iv, 3}, aes));
  length = sizeof taken;
  say("C_Encrypt", p->C_Encrypt(s, plain, PLAIN_BYTES, taken, &length));
  free(enormous);
  say("C_Finalize", p->C_Finalize(NULL));
}
