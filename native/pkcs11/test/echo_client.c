/* Calls every function the engine answers, once, with arguments that say their names, and checks that what
 * comes back says its name too. The other half is test/native/echo.test.ts.
 *   echo_client MODULE */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

static CK_BYTE iv[12], buffer[64];
static CK_ULONG length, list[4], numbers[2], failures, calls;
static const char *current, *number_names[2], *room_name, *fill_name;
static unsigned numbers_used, templates_used;
static CK_GCM_PARAMS gcm = {iv, sizeof iv, 96, (CK_BYTE_PTR) "aad", 3, 128};
static CK_MECHANISM mechanism = {CKM_AES_GCM, &gcm, sizeof gcm};
static CK_BBOOL yes = CK_TRUE;
static CK_ATTRIBUTE nested[] = {{CKA_TOKEN, &yes, 1}};
static CK_ATTRIBUTE templates[2][2];
static CK_BYTE label[16], value[8];
static CK_ATTRIBUTE query[3];

static void expect(int condition, const char *what)
{
  if (condition) return;
  failures++;
  fprintf(stderr, "%s: wrong %s\n", current, what);
}

/* The number an argument of this name has, on both sides. */
static CK_ULONG number_of(const char *name)
{
  CK_ULONG sum = 0x1234567800;
  for (; *name != 0; name++) sum += (CK_BYTE)*name;
  return sum;
}

static CK_ULONG_PTR number_out(const char *name)
{
  number_names[numbers_used] = name;
  return &numbers[numbers_used++];
}

static CK_ULONG_PTR room_length(const char *name)
{
  room_name = name;
  length = sizeof buffer;
  return &length;
}

static CK_ULONG fill_length(const char *name)
{
  fill_name = name;
  return 32;
}

static CK_ULONG_PTR list_length(void)
{
  length = 4;
  return &length;
}

static CK_ATTRIBUTE_PTR template_of(const char *name)
{
  CK_ATTRIBUTE_PTR t = templates[templates_used++];
  t[0] = (CK_ATTRIBUTE){CKA_LABEL, (CK_VOID_PTR)name, strlen(name)};
  t[1] = (CK_ATTRIBUTE){CKA_WRAP_TEMPLATE, nested, sizeof nested};
  return t;
}

static void begin(const char *call)
{
  current = call;
  calls++;
  numbers_used = templates_used = 0;
  room_name = fill_name = NULL;
  memset(buffer, 0, sizeof buffer);
  memset(list, 0, sizeof list);
  memcpy(iv, "twelve bytes", sizeof iv);
}

static void finish(CK_RV rv)
{
  expect(rv == CKR_OK, "CK_RV");
  for (unsigned i = 0; i < numbers_used; i++) {
    expect(numbers[i] == number_of(number_names[i]), number_names[i]);
  }
  if (room_name != NULL) {
    expect(length == strlen(room_name) && memcmp(buffer, room_name, length) == 0, room_name);
  }
  for (unsigned i = 0; fill_name != NULL && i < 32; i++) {
    expect(buffer[i] == (CK_BYTE)fill_name[i % strlen(fill_name)], fill_name);
  }
  if (strstr(current, "MECHANISM") != NULL) expect(memcmp(iv, "IV from HSM!", sizeof iv) == 0, "IV");
}

static void expect_list(CK_ULONG first)
{
  expect(length == 3 && list[0] == first && list[2] == first + 2 && list[3] == 0, "list");
}

static void expect_text(const CK_UTF8CHAR *text, size_t size, const char *name)
{
  for (size_t i = 0; i < size; i++) expect(text[i] == (i < strlen(name) ? (CK_BYTE)name[i] : ' '), name);
}

#define CALL(expression) (begin(#expression), finish(expression))
#define S number_of("hSession")
#define SLOT 0x2000000000000002UL
#define N(name) number_of(#name)
#define IN(name) (CK_BYTE_PTR) #name, sizeof #name - 1
#define OUT(name) number_out(#name)
#define ROOM(name) buffer, room_length(#name)
#define TEMPLATE(name) template_of(#name), 2
#define MECHANISM &mechanism
#define TEXT(structure, member) expect_text(structure.member, sizeof structure.member, #member)
#define VERSION(structure, member) \
  expect(structure.member.major == 2 && structure.member.minor == 40, #member)
#define NUMBER(structure, member) expect(structure.member == N(member), #member)

static void information(CK_FUNCTION_LIST_PTR p)
{
  CK_INFO info;
  CK_SLOT_INFO slot;
  CK_TOKEN_INFO token;
  CK_MECHANISM_INFO mechanism_info;
  CALL(p->C_GetInfo(&info));
  VERSION(info, cryptokiVersion), TEXT(info, manufacturerID), NUMBER(info, flags);
  TEXT(info, libraryDescription), VERSION(info, libraryVersion);
  CALL(p->C_GetSlotList(CK_TRUE, list, list_length()));
  expect_list(0x2000000000000001UL);
  CALL(p->C_GetSlotInfo(SLOT, &slot));
  TEXT(slot, slotDescription), TEXT(slot, manufacturerID), NUMBER(slot, flags);
  VERSION(slot, hardwareVersion), VERSION(slot, firmwareVersion);
  CALL(p->C_GetTokenInfo(SLOT, &token));
  TEXT(token, label), TEXT(token, model), TEXT(token, serialNumber), NUMBER(token, flags);
  NUMBER(token, ulMaxSessionCount), NUMBER(token, ulFreePrivateMemory), VERSION(token, hardwareVersion);
  VERSION(token, firmwareVersion), TEXT(token, utcTime);
  CALL(p->C_GetMechanismList(SLOT, list, list_length()));
  expect_list(1);
  CALL(p->C_GetMechanismInfo(SLOT, N(type), &mechanism_info));
  NUMBER(mechanism_info, ulMinKeySize), NUMBER(mechanism_info, ulMaxKeySize), NUMBER(mechanism_info, flags);
}

static void sessions(CK_FUNCTION_LIST_PTR p)
{
  CK_UTF8CHAR text[] = "pLabel                          ";
  CK_SESSION_INFO info;
  CALL(p->C_InitToken(SLOT, IN(pPin), text));
  CALL(p->C_InitPIN(S, IN(pPin)));
  CALL(p->C_SetPIN(S, IN(pOldPin), IN(pNewPin)));
  CALL(p->C_OpenSession(SLOT, N(flags), &info, NULL, OUT(phSession)));
  CALL(p->C_CloseSession(S));
  CALL(p->C_CloseAllSessions(SLOT));
  CALL(p->C_GetSessionInfo(S, &info));
  expect(info.slotID == 0x2000000000000003UL, "slotID");
  NUMBER(info, state), NUMBER(info, flags), NUMBER(info, ulDeviceError);
  CALL(p->C_GetOperationState(S, ROOM(pOperationState)));
  CALL(p->C_SetOperationState(S, IN(pOperationState), N(hEncryptionKey), N(hAuthenticationKey)));
  CALL(p->C_Login(S, N(userType), IN(pPin)));
  CALL(p->C_Logout(S));
}

static void objects(CK_FUNCTION_LIST_PTR p)
{
  CALL(p->C_CreateObject(S, TEMPLATE(pTemplate), OUT(phObject)));
  CALL(p->C_CopyObject(S, N(hObject), TEMPLATE(pTemplate), OUT(phNewObject)));
  CALL(p->C_DestroyObject(S, N(hObject)));
  CALL(p->C_GetObjectSize(S, N(hObject), OUT(pulSize)));
  query[0] = (CK_ATTRIBUTE){CKA_LABEL, label, sizeof label};
  query[1] = (CK_ATTRIBUTE){CKA_ID, NULL, 0};
  query[2] = (CK_ATTRIBUTE){CKA_VALUE, value, sizeof value};
  CALL(p->C_GetAttributeValue(S, N(hObject), query, 3));
  expect(query[0].ulValueLen == 5 && memcmp(label, "label", 5) == 0, "first attribute");
  expect(query[1].ulValueLen == 99 && query[2].ulValueLen == CK_UNAVAILABLE_INFORMATION, "lengths");
  CALL(p->C_SetAttributeValue(S, N(hObject), TEMPLATE(pTemplate)));
  CALL(p->C_FindObjectsInit(S, TEMPLATE(pTemplate)));
  CALL(p->C_FindObjects(S, list, 4, list_length()));
  expect_list(1);
  CALL(p->C_FindObjectsFinal(S));
}

static void ciphers_and_digests(CK_FUNCTION_LIST_PTR p)
{
  CALL(p->C_EncryptInit(S, MECHANISM, N(hKey)));
  CALL(p->C_Encrypt(S, IN(pData), ROOM(pEncryptedData)));
  CALL(p->C_EncryptUpdate(S, IN(pPart), ROOM(pEncryptedPart)));
  CALL(p->C_EncryptFinal(S, ROOM(pLastEncryptedPart)));
  CALL(p->C_DecryptInit(S, MECHANISM, N(hKey)));
  CALL(p->C_Decrypt(S, IN(pEncryptedData), ROOM(pData)));
  CALL(p->C_DecryptUpdate(S, IN(pEncryptedPart), ROOM(pPart)));
  CALL(p->C_DecryptFinal(S, ROOM(pLastPart)));
  CALL(p->C_DigestInit(S, MECHANISM));
  CALL(p->C_Digest(S, IN(pData), ROOM(pDigest)));
  CALL(p->C_DigestUpdate(S, IN(pPart)));
  CALL(p->C_DigestKey(S, N(hKey)));
  CALL(p->C_DigestFinal(S, ROOM(pDigest)));
}

static void signatures(CK_FUNCTION_LIST_PTR p)
{
  CALL(p->C_SignInit(S, MECHANISM, N(hKey)));
  CALL(p->C_Sign(S, IN(pData), ROOM(pSignature)));
  CALL(p->C_SignUpdate(S, IN(pPart)));
  CALL(p->C_SignFinal(S, ROOM(pSignature)));
  CALL(p->C_SignRecoverInit(S, MECHANISM, N(hKey)));
  CALL(p->C_SignRecover(S, IN(pData), ROOM(pSignature)));
  CALL(p->C_VerifyInit(S, MECHANISM, N(hKey)));
  CALL(p->C_Verify(S, IN(pData), IN(pSignature)));
  CALL(p->C_VerifyUpdate(S, IN(pPart)));
  CALL(p->C_VerifyFinal(S, IN(pSignature)));
  CALL(p->C_VerifyRecoverInit(S, MECHANISM, N(hKey)));
  CALL(p->C_VerifyRecover(S, IN(pSignature), ROOM(pData)));
  CALL(p->C_DigestEncryptUpdate(S, IN(pPart), ROOM(pEncryptedPart)));
  CALL(p->C_DecryptDigestUpdate(S, IN(pEncryptedPart), ROOM(pPart)));
  CALL(p->C_SignEncryptUpdate(S, IN(pPart), ROOM(pEncryptedPart)));
  CALL(p->C_DecryptVerifyUpdate(S, IN(pEncryptedPart), ROOM(pPart)));
}

static void keys_and_the_rest(CK_FUNCTION_LIST_PTR p)
{
  CK_SLOT_ID slot = 0;
  CALL(p->C_GenerateKey(S, MECHANISM, TEMPLATE(pTemplate), OUT(phKey)));
  CALL(p->C_GenerateKeyPair(S, MECHANISM, TEMPLATE(pPublicKeyTemplate), TEMPLATE(pPrivateKeyTemplate),
                            OUT(phPublicKey), OUT(phPrivateKey)));
  CALL(p->C_WrapKey(S, MECHANISM, N(hWrappingKey), N(hKey), ROOM(pWrappedKey)));
  CALL(p->C_UnwrapKey(S, MECHANISM, N(hUnwrappingKey), IN(pWrappedKey), TEMPLATE(pTemplate), OUT(phKey)));
  CALL(p->C_DeriveKey(S, MECHANISM, N(hBaseKey), TEMPLATE(pTemplate), OUT(phKey)));
  CALL(p->C_SeedRandom(S, IN(pSeed)));
  CALL(p->C_GenerateRandom(S, buffer, fill_length("RandomData")));
  CALL(p->C_GetFunctionStatus(S));
  CALL(p->C_CancelFunction(S));
  CALL(p->C_WaitForSlotEvent(N(flags), &slot, NULL));
  expect(slot == 0x2000000000000005UL, "pSlot");
}

int main(int argc, char **argv)
{
  CK_FUNCTION_LIST_PTR p = load_module(argc > 1 ? argv[1] : "");
  if (p->C_Initialize(NULL) != CKR_OK) return 2;
  information(p);
  sessions(p);
  objects(p);
  ciphers_and_digests(p);
  signatures(p);
  keys_and_the_rest(p);
  if (p->C_Finalize(NULL) != CKR_OK) failures++;
  printf("%lu calls, %lu wrong\n", calls, failures);
  return failures == 0 ? 0 : 1;
}
