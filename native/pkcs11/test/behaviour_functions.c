/* Every function before C_Initialize and after C_Finalize, those that CloudHSM lacks, and NULL as output. */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour_support.h"

#define TRY(function, ...) say(#function, p->function(__VA_ARGS__))

static CK_BYTE bytes[64];
static CK_ULONG length = sizeof bytes;
static CK_OBJECT_HANDLE handle;
static CK_MECHANISM sha256 = {CKM_SHA256, NULL, 0};

static void try_unsupported(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key)
{
  CK_MECHANISM rsa = {CKM_RSA_PKCS, NULL, 0};
  TRY(C_InitToken, SLOT, bytes, 8, bytes);
  TRY(C_InitPIN, s, bytes, 8);
  TRY(C_SetPIN, s, bytes, 8, bytes, 8);
  TRY(C_GetOperationState, s, bytes, &length);
  TRY(C_SetOperationState, s, bytes, 8, 0, 0);
  TRY(C_GetObjectSize, s, key, &length);
  TRY(C_DigestKey, s, key);
  TRY(C_SignRecoverInit, s, &rsa, key);
  TRY(C_SignRecover, s, bytes, 8, bytes, &length);
  TRY(C_VerifyRecoverInit, s, &rsa, key);
  TRY(C_VerifyRecover, s, bytes, 8, bytes, &length);
  TRY(C_DigestEncryptUpdate, s, bytes, 8, bytes, &length);
  TRY(C_DecryptDigestUpdate, s, bytes, 8, bytes, &length);
  TRY(C_SignEncryptUpdate, s, bytes, 8, bytes, &length);
  TRY(C_DecryptVerifyUpdate, s, bytes, 8, bytes, &length);
  TRY(C_SeedRandom, s, bytes, 8);
  TRY(C_GetFunctionStatus, s);
  TRY(C_CancelFunction, s);
}

static void try_unsupported_with_nothing(CK_SESSION_HANDLE s)
{
  TRY(C_InitToken, SLOT, NULL, 8, NULL);
  TRY(C_InitPIN, s, NULL, 8);
  TRY(C_SetPIN, s, NULL, 8, NULL, 8);
  TRY(C_GetOperationState, s, NULL, NULL);
  TRY(C_SetOperationState, s, NULL, 8, 0, 0);
  TRY(C_GetObjectSize, s, 1, NULL);
  TRY(C_SignRecoverInit, s, NULL, 0);
  TRY(C_SignRecover, s, NULL, 8, NULL, NULL);
  TRY(C_VerifyRecoverInit, s, NULL, 0);
  TRY(C_VerifyRecover, s, NULL, 8, NULL, NULL);
  TRY(C_DigestEncryptUpdate, s, NULL, 8, NULL, NULL);
  TRY(C_DecryptDigestUpdate, s, NULL, 8, NULL, NULL);
  TRY(C_SignEncryptUpdate, s, NULL, 8, NULL, NULL);
  TRY(C_DecryptVerifyUpdate, s, NULL, 8, NULL, NULL);
}

static void try_every(void)
{
  CK_INFO info;
  CK_SLOT_INFO slot_info;
  CK_TOKEN_INFO token_info;
  CK_MECHANISM_INFO mechanism_info;
  CK_SESSION_INFO session_info;
  CK_SLOT_ID slot;
  CK_SESSION_HANDLE s = 1;
  CK_ATTRIBUTE label = TEXT(CKA_LABEL, "label");
  TRY(C_Finalize, NULL);
  TRY(C_GetInfo, &info);
  TRY(C_GetSlotList, CK_TRUE, NULL, &length);
  TRY(C_GetSlotInfo, SLOT, &slot_info);
  TRY(C_GetTokenInfo, SLOT, &token_info);
  TRY(C_GetMechanismList, SLOT, NULL, &length);
  TRY(C_GetMechanismInfo, SLOT, CKM_SHA256, &mechanism_info);
  TRY(C_OpenSession, SLOT, OPEN_FLAGS, NULL, NULL, &s);
  TRY(C_CloseSession, s);
  TRY(C_CloseAllSessions, SLOT);
  TRY(C_GetSessionInfo, s, &session_info);
  TRY(C_Login, s, CKU_USER, bytes, 8);
  TRY(C_Logout, s);
  TRY(C_CreateObject, s, &label, 1, &handle);
  TRY(C_CopyObject, s, 1, &label, 1, &handle);
  TRY(C_SetAttributeValue, s, 1, &label, 1);
  TRY(C_DestroyObject, s, 1);
  TRY(C_GetAttributeValue, s, 1, &label, 1);
  TRY(C_FindObjectsInit, s, NULL, 0);
  TRY(C_FindObjects, s, &handle, 1, &length);
  TRY(C_FindObjectsFinal, s);
  TRY(C_EncryptInit, s, &sha256, 1);
  TRY(C_Encrypt, s, bytes, 8, bytes, &length);
  TRY(C_EncryptUpdate, s, bytes, 8, bytes, &length);
  TRY(C_EncryptFinal, s, bytes, &length);
  TRY(C_DecryptInit, s, &sha256, 1);
  TRY(C_Decrypt, s, bytes, 8, bytes, &length);
  TRY(C_DecryptUpdate, s, bytes, 8, bytes, &length);
  TRY(C_DecryptFinal, s, bytes, &length);
  TRY(C_DigestInit, s, &sha256);
  TRY(C_Digest, s, bytes, 8, bytes, &length);
  TRY(C_DigestUpdate, s, bytes, 8);
  TRY(C_DigestFinal, s, bytes, &length);
  TRY(C_SignInit, s, &sha256, 1);
  TRY(C_Sign, s, bytes, 8, bytes, &length);
  TRY(C_SignUpdate, s, bytes, 8);
  TRY(C_SignFinal, s, bytes, &length);
  TRY(C_VerifyInit, s, &sha256, 1);
  TRY(C_Verify, s, bytes, 8, bytes, 8);
  TRY(C_VerifyUpdate, s, bytes, 8);
  TRY(C_VerifyFinal, s, bytes, 8);
  TRY(C_GenerateKey, s, &sha256, NULL, 0, &handle);
  TRY(C_GenerateKeyPair, s, &sha256, NULL, 0, NULL, 0, &handle, &handle);
  TRY(C_WrapKey, s, &sha256, 1, 1, bytes, &length);
  TRY(C_UnwrapKey, s, &sha256, 1, bytes, 8, NULL, 0, &handle);
  TRY(C_DeriveKey, s, &sha256, 1, NULL, 0, &handle);
  TRY(C_GenerateRandom, s, bytes, 8);
  TRY(C_WaitForSlotEvent, CKF_DONT_BLOCK, &slot, NULL);
  try_unsupported(s, 1);
}

void scene_uninitialized(void)
{
  tell("before");
  try_every();
  must("C_Initialize", p->C_Initialize(NULL));
  pid_t child = fork();
  if (child == 0) {
    tell("child");
    try_every();
    _exit(0);
  }
  waitpid(child, NULL, 0);
  must("C_Finalize", p->C_Finalize(NULL));
  tell("after");
  try_every();
}

void scene_unsupported(void)
{
  CK_SESSION_HANDLE session = start();
  try_unsupported(session, import_known(session, CKK_AES));
  try_unsupported_with_nothing(session);
  say("C_Finalize", p->C_Finalize(NULL));
}

static void try_null_operations(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE aes, CK_OBJECT_HANDLE secret)
{
  CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0}, hmac = {CKM_SHA256_HMAC, NULL, 0};
  TRY(C_SignInit, s, NULL, secret);
  TRY(C_VerifyInit, s, NULL, secret);
  TRY(C_EncryptInit, s, NULL, aes);
  TRY(C_DecryptInit, s, NULL, aes);
  TRY(C_DigestInit, s, NULL);
  must("C_SignInit", p->C_SignInit(s, &hmac, secret));
  must("C_VerifyInit", p->C_VerifyInit(s, &hmac, secret));
  must("C_EncryptInit", p->C_EncryptInit(s, &ecb, aes));
  must("C_DecryptInit", p->C_DecryptInit(s, &ecb, aes));
  must("C_DigestInit", p->C_DigestInit(s, &sha256));
  TRY(C_Sign, s, bytes, 8, bytes, NULL);
  TRY(C_Sign, s, NULL, 8, bytes, &length);
  TRY(C_SignUpdate, s, NULL, 8);
  TRY(C_SignFinal, s, bytes, NULL);
  TRY(C_Verify, s, bytes, 8, NULL, 32);
  TRY(C_Verify, s, NULL, 8, bytes, 32);
  TRY(C_VerifyUpdate, s, NULL, 8);
  TRY(C_VerifyFinal, s, NULL, 32);
  TRY(C_Encrypt, s, bytes, 16, bytes, NULL);
  TRY(C_EncryptUpdate, s, bytes, 16, bytes, NULL);
  TRY(C_EncryptUpdate, s, NULL, 16, bytes, &length);
  TRY(C_EncryptFinal, s, bytes, NULL);
  TRY(C_Decrypt, s, bytes, 16, bytes, NULL);
  TRY(C_DecryptUpdate, s, bytes, 16, bytes, NULL);
  TRY(C_DecryptFinal, s, bytes, NULL);
  TRY(C_Digest, s, bytes, 8, bytes, NULL);
  TRY(C_DigestUpdate, s, NULL, 8);
  TRY(C_DigestFinal, s, bytes, NULL);
}

static void try_null_objects(CK_SESSION_HANDLE s, CK_OBJECT_HANDLE aes)
{
  CK_ULONG value_length = 16;
  CK_OBJECT_CLASS class = CKO_SECRET_KEY;
  CK_KEY_TYPE type = CKK_AES;
  CK_ATTRIBUTE one = THE(CKA_VALUE_LEN, value_length), curve = THE(CKA_EC_PARAMS, prime256v1);
  CK_ATTRIBUTE key[] = {THE(CKA_CLASS, class), THE(CKA_KEY_TYPE, type), THE(CKA_VALUE, known_key)};
  CK_MECHANISM generation = {CKM_AES_KEY_GEN, NULL, 0}, pair = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  TRY(C_CreateObject, s, key, COUNT(key), NULL);
  TRY(C_CreateObject, s, NULL, 3, &handle);
  TRY(C_GetAttributeValue, s, aes, NULL, 1);
  TRY(C_FindObjectsInit, s, NULL, 1);
  must("C_FindObjectsInit", p->C_FindObjectsInit(s, NULL, 0));
  TRY(C_FindObjects, s, &handle, 1, NULL);
  must("C_FindObjectsFinal", p->C_FindObjectsFinal(s));
  TRY(C_GenerateKey, s, &generation, &one, 1, NULL);
  TRY(C_GenerateKey, s, &generation, NULL, 1, &handle);
  TRY(C_GenerateKey, s, NULL, &one, 1, &handle);
  TRY(C_GenerateKeyPair, s, &pair, &curve, 1, NULL, 0, NULL, &handle);
  TRY(C_GenerateKeyPair, s, &pair, &curve, 1, NULL, 0, &handle, NULL);
  TRY(C_GenerateKeyPair, s, NULL, &curve, 1, NULL, 0, &handle, &handle);
  TRY(C_GenerateRandom, s, NULL, 8);
}

void scene_null(void)
{
  CK_SESSION_HANDLE s = start();
  CK_OBJECT_HANDLE aes = import_known(s, CKK_AES), secret = import_known(s, CKK_GENERIC_SECRET);
  CK_ULONG before = count_objects(s);
  TRY(C_GetInfo, NULL);
  TRY(C_GetFunctionList, NULL);
  TRY(C_GetSlotList, CK_TRUE, NULL, NULL);
  TRY(C_GetSlotInfo, SLOT, NULL);
  TRY(C_GetTokenInfo, SLOT, NULL);
  TRY(C_GetMechanismList, SLOT, NULL, NULL);
  TRY(C_GetMechanismInfo, SLOT, CKM_SHA256, NULL);
  TRY(C_WaitForSlotEvent, CKF_DONT_BLOCK, NULL, NULL);
  TRY(C_OpenSession, SLOT, OPEN_FLAGS, NULL, NULL, NULL);
  TRY(C_GetSessionInfo, s, NULL);
  TRY(C_Login, s, CKU_USER, NULL, 8);
  try_null_objects(s, aes);
  try_null_operations(s, aes, secret);
  tell("objects %+ld", (long)(count_objects(s) - before));
  say("C_Finalize", p->C_Finalize(NULL));
}
