/* Rows 9, 10, 12 and 16: attributes, key pairs with odd templates, imported points, many keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behaviour_support.h"

#define FLOCK 2000
#define FLOCK_LABELS 200

/* Row 9. */
static CK_OBJECT_HANDLE make_aes(CK_SESSION_HANDLE session)
{
  CK_OBJECT_HANDLE key = 0;
  CK_ULONG length = 32;
  CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
  CK_ATTRIBUTE template[] = {THE(CKA_VALUE_LEN, length), TEXT(CKA_LABEL, "label"), TEXT(CKA_ID, "identity")};
  must("C_GenerateKey", p->C_GenerateKey(session, &mechanism, template, COUNT(template), &key));
  return key;
}

static CK_BYTE label_room[16], middle_room[64], id_room[16];

/* Reads {LABEL, `middle`, ID} and tells code, lengths, values and whether the middle's room was touched. */
static void read_three(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const char *name,
                       CK_ATTRIBUTE_TYPE middle, bool fetch, CK_ULONG label_length, CK_ULONG middle_length)
{
  static const CK_BYTE untouched[sizeof middle_room] = {0};
  CK_ATTRIBUTE template[] = {{CKA_LABEL, fetch ? label_room : NULL, label_length},
                             {middle, fetch ? middle_room : NULL, middle_length},
                             {CKA_ID, fetch ? id_room : NULL, sizeof id_room}};
  memset(label_room, 0, sizeof label_room);
  memset(middle_room, 0, sizeof middle_room);
  memset(id_room, 0, sizeof id_room);
  CK_RV rv = p->C_GetAttributeValue(session, key, template, COUNT(template));
  tell("%s 0x%lx: %ld '%s', %ld %s, %ld '%s'", name, rv, (long)template[0].ulValueLen, label_room,
       (long)template[1].ulValueLen,
       memcmp(middle_room, untouched, sizeof middle_room) == 0 ? "untouched" : "written",
       (long)template[2].ulValueLen, id_room);
}

void scene_attributes(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE key = make_aes(session), public_key, private_key;
  CK_BYTE flag[8] = {9, 9, 9, 9, 9, 9, 9, 9};
  CK_ATTRIBUTE local = THE(CKA_LOCAL, flag);
  const CK_ULONG room = sizeof label_room, middle = sizeof middle_room;
  read_three(session, key, "unsupported, sizes", CKA_APPLICATION, false, room, 0);
  read_three(session, key, "unsupported, values", CKA_APPLICATION, true, room, middle);
  read_three(session, key, "not of its kind", CKA_MODULUS, true, room, middle);
  read_three(session, key, "unknown", 0x80001234UL, true, room, middle);
  read_three(session, key, "sensitive, sizes", CKA_VALUE, false, room, 0);
  read_three(session, key, "sensitive, values", CKA_VALUE, true, room, middle);
  read_three(session, key, "label too small", CKA_CHECK_VALUE, true, 4, middle);
  read_three(session, key, "label too small by all", CKA_CHECK_VALUE, true, 0, middle);
  read_three(session, key, "check value too small", CKA_CHECK_VALUE, true, room, 2);
  read_three(session, key, "fine", CKA_CHECK_VALUE, true, room, middle);
  must("C_GenerateKeyPair", generate_rsa(session, 2048, CK_FALSE, "label", &public_key, &private_key));
  read_three(session, private_key, "private exponent", CKA_PRIVATE_EXPONENT, true, room, middle);
  say("bool in 8 bytes", p->C_GetAttributeValue(session, key, &local, 1));
  tell("length %lu, %d %d", local.ulValueLen, flag[0], flag[1]);
  say("no such object", p->C_GetAttributeValue(session, 0x7ffffffffUL, &local, 1));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 10. Makes an EC key pair; tells the code and how many objects more there are. */
static CK_RV make_pair(CK_SESSION_HANDLE session, const char *name, CK_ATTRIBUTE *public_half,
                       CK_ULONG public_count, CK_ATTRIBUTE *private_half, CK_ULONG private_count,
                       CK_OBJECT_HANDLE *public_key)
{
  CK_OBJECT_HANDLE private_key = 0;
  CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  CK_ULONG before = count_objects(session);
  CK_RV rv = p->C_GenerateKeyPair(session, &mechanism, public_half, public_count, private_half, private_count,
                                  public_key, &private_key);
  tell("%s 0x%lx, objects %+ld", name, rv, (long)(count_objects(session) - before));
  return rv;
}

static void tell_bool(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, const char *name,
                      CK_ATTRIBUTE_TYPE type)
{
  CK_BBOOL value = 9;
  CK_ATTRIBUTE attribute = THE(type, value);
  say(name, p->C_GetAttributeValue(session, key, &attribute, 1));
  tell("%s %d", name, value);
}

static void tell_found(CK_SESSION_HANDLE session, const char *name, CK_OBJECT_CLASS class,
                       CK_ATTRIBUTE wanted)
{
  CK_ATTRIBUTE template[] = {wanted, THE(CKA_CLASS, class)};
  tell("%s %lu", name, find(session, template, COUNT(template), NULL, 0));
}

#define PAIR(name, public_half, private_half) \
  make_pair(session, name, public_half, COUNT(public_half), private_half, COUNT(private_half), &key)

void scene_pairs(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE key = 0;
  CK_ATTRIBUTE curve = THE(CKA_EC_PARAMS, prime256v1), id = TEXT(CKA_ID, "row 10");
  CK_ATTRIBUTE empty = {CKA_LABEL, NULL, 0};
  CK_ATTRIBUTE plain_public[] = {curve}, plain_private[] = {YES(CKA_SIGN)};
  CK_ATTRIBUTE open[] = {curve, NO(CKA_PRIVATE)};
  CK_ATTRIBUTE nameless[] = {curve, empty}, nameless_private[] = {YES(CKA_SIGN), empty};
  CK_ATTRIBUTE deriving[] = {curve, YES(CKA_DERIVE)}, deriving_private[] = {YES(CKA_DERIVE)};
  CK_ATTRIBUTE with_id[] = {curve, id}, with_id_private[] = {YES(CKA_SIGN), id};
  PAIR("PRIVATE=FALSE", open, plain_private);
  tell_bool(session, key, "PRIVATE", CKA_PRIVATE);
  PAIR("PRIVATE absent", plain_public, plain_private);
  tell_bool(session, key, "PRIVATE", CKA_PRIVATE);
  PAIR("empty label", nameless, nameless_private);
  say("C_GetAttributeValue", p->C_GetAttributeValue(session, key, &empty, 1));
  tell("label of %lu bytes", empty.ulValueLen);
  PAIR("DERIVE=TRUE", deriving, deriving_private);
  tell_bool(session, key, "DERIVE", CKA_DERIVE);
  PAIR("an id", with_id, with_id_private);
  tell_found(session, "public keys with it", CKO_PUBLIC_KEY, id);
  tell_found(session, "private keys with it", CKO_PRIVATE_KEY, id);
  PAIR("the id again", with_id, with_id_private);
  tell_found(session, "public keys with it", CKO_PUBLIC_KEY, id);
  tell_found(session, "private keys with it", CKO_PRIVATE_KEY, id);
  say("C_Finalize", p->C_Finalize(NULL));
}

void scene_refused_pairs(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE key = 0;
  CK_OBJECT_CLASS public_class = CKO_PUBLIC_KEY;
  CK_BYTE wide[2] = {1, 1};
  CK_ATTRIBUTE good[] = {THE(CKA_EC_PARAMS, prime256v1), YES(CKA_TOKEN)}, private_good[] = {YES(CKA_SIGN)};
  CK_ATTRIBUTE wrong_class[] = {THE(CKA_CLASS, public_class)}, trusted[] = {YES(CKA_TRUSTED), YES(CKA_TOKEN)};
  CK_ATTRIBUTE local[] = {YES(CKA_LOCAL)}, wide_flag[] = {THE(CKA_TOKEN, wide)};
  CK_ATTRIBUTE twice[] = {YES(CKA_SIGN), NO(CKA_SIGN)}, unknown[] = {YES(0x80001234UL)};
  CK_ATTRIBUTE valued[] = {YES(CKA_TOKEN), THE(CKA_VALUE, known_key)};
  CK_ATTRIBUTE no_value[] = {{CKA_LABEL, NULL, 4}};
  CK_ATTRIBUTE no_curve[] = {YES(CKA_TOKEN)}, bad_curve[] = {TEXT(CKA_EC_PARAMS, "\x06\x03\x2a\x03\x04")};
  PAIR("private: wrong class", good, wrong_class);
  PAIR("private: TRUSTED=TRUE", good, trusted);
  PAIR("private: LOCAL", good, local);
  PAIR("private: a flag of two bytes", good, wide_flag);
  PAIR("private: twice the same", good, twice);
  PAIR("private: unknown attribute", good, unknown);
  PAIR("private: CKA_VALUE", good, valued);
  PAIR("private: a length without a value", good, no_value);
  PAIR("public: no curve", no_curve, private_good);
  PAIR("public: unknown curve", bad_curve, private_good);
  make_pair(session, "private: no template", good, COUNT(good), NULL, 1, &key);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 12. Imports a public key and tells whether it verifies a signature and shows its point as `der`. */
static void import_point(CK_SESSION_HANDLE session, const char *name, CK_BYTE *point, CK_ULONG length,
                         CK_BYTE *signature, CK_ATTRIBUTE der)
{
  CK_OBJECT_HANDLE key = 0;
  CK_OBJECT_CLASS class = CKO_PUBLIC_KEY;
  CK_KEY_TYPE type = CKK_EC;
  CK_BYTE read[80];
  CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
  CK_ATTRIBUTE shown = THE(CKA_EC_POINT, read);
  CK_ATTRIBUTE template[] = {THE(CKA_CLASS, class), THE(CKA_KEY_TYPE, type), THE(CKA_EC_PARAMS, prime256v1),
                             YES(CKA_VERIFY), {CKA_EC_POINT, point, length}};
  say(name, p->C_CreateObject(session, template, COUNT(template), &key));
  must("C_GetAttributeValue", p->C_GetAttributeValue(session, key, &shown, 1));
  bool same = shown.ulValueLen == der.ulValueLen && memcmp(read, der.pValue, der.ulValueLen) == 0;
  must("C_VerifyInit", p->C_VerifyInit(session, &mechanism, key));
  CK_RV rv = p->C_Verify(session, known_key, sizeof known_key, signature, 64);
  tell("C_Verify 0x%lx, %s", rv, same ? "the same point" : "another point");
}

void scene_points(void)
{
  CK_SESSION_HANDLE session = start();
  CK_OBJECT_HANDLE public_key, private_key;
  CK_BYTE point[80], signature[64];
  CK_ULONG length = sizeof signature;
  CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  CK_ATTRIBUTE curve = THE(CKA_EC_PARAMS, prime256v1), use = YES(CKA_SIGN), der = THE(CKA_EC_POINT, point);
  must("EC", p->C_GenerateKeyPair(session, &mechanism, &curve, 1, &use, 1, &public_key, &private_key));
  must("C_GetAttributeValue", p->C_GetAttributeValue(session, public_key, &der, 1));
  tell("point of %lu bytes, 0x%02x%02x%02x", der.ulValueLen, point[0], point[1], point[2]);
  must("C_Sign", sign(session, CKM_ECDSA, private_key, known_key, sizeof known_key, signature, &length));
  import_point(session, "DER", point, der.ulValueLen, signature, der);
  import_point(session, "raw", point + 2, der.ulValueLen - 2, signature, der);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 16. */
static CK_OBJECT_HANDLE flock[FLOCK], found[FLOCK + 1];

static int by_handle(const void *left, const void *right)
{
  CK_OBJECT_HANDLE a = *(const CK_OBJECT_HANDLE *)left, b = *(const CK_OBJECT_HANDLE *)right;
  return (a > b) - (a < b);
}

static void make_flock(CK_SESSION_HANDLE session)
{
  CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
  CK_ULONG length = 16;
  for (int i = 0; i < FLOCK; i++) {
    char label[24];
    snprintf(label, sizeof label, "sheep %d", i % FLOCK_LABELS);
    CK_ATTRIBUTE template[] = {THE(CKA_VALUE_LEN, length), TEXT(CKA_ID, "flock"),
                               {CKA_LABEL, label, strlen(label)}};
    must("C_GenerateKey", p->C_GenerateKey(session, &mechanism, template, COUNT(template), &flock[i]));
  }
}

/* Searches for each label; how many searches had any other answer than the handles with that label. */
static int search_labels(CK_SESSION_HANDLE session)
{
  int wrong = 0;
  for (int label_at = 0; label_at < FLOCK_LABELS; label_at++) {
    char label[24];
    snprintf(label, sizeof label, "sheep %d", label_at);
    CK_ATTRIBUTE template = {CKA_LABEL, label, strlen(label)};
    CK_ULONG count = find(session, &template, 1, found, FLOCK);
    bool right = count == FLOCK / FLOCK_LABELS;
    qsort(found, right ? count : 0, sizeof *found, by_handle);
    for (CK_ULONG i = 0; right && i < count; i++) right = found[i] == flock[label_at + (int)i * FLOCK_LABELS];
    wrong += !right;
  }
  return wrong;
}

void scene_flock(void)
{
  CK_SESSION_HANDLE session = start();
  CK_ATTRIBUTE id = TEXT(CKA_ID, "flock");
  CK_ULONG before = count_objects(session);
  make_flock(session);
  tell("objects %+ld", (long)(count_objects(session) - before));
  for (int i = 1; i < FLOCK; i++) {
    if (flock[i] <= flock[i - 1]) tell("handle %d does not ascend", i); /* search_labels relies on it */
  }
  CK_ULONG count = find(session, &id, 1, found, FLOCK + 1);
  qsort(found, count < FLOCK ? count : FLOCK, sizeof *found, by_handle);
  tell("listed %lu, %s", count, memcmp(found, flock, sizeof flock) == 0 ? "the right ones" : "others");
  for (int pass = 0; pass < 3; pass++) tell("searches that went wrong %d", search_labels(session));
  must("C_DestroyObject", p->C_DestroyObject(session, flock[0]));
  tell("searches that went wrong %d", search_labels(session));
  tell("listed %lu", find(session, &id, 1, NULL, 0));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* C_FindObjects without an array: the trusted-key sample of AWS. */
void scene_find_null(void)
{
  CK_SESSION_HANDLE session = start();
  CK_ATTRIBUTE id = TEXT(CKA_ID, "find null");
  CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
  CK_ULONG length = 16, given = 99;
  CK_ATTRIBUTE template[] = {THE(CKA_VALUE_LEN, length), id};
  for (CK_ULONG keys = 0; keys <= 3; keys++) {
    if (keys > 0) must("C_GenerateKey", p->C_GenerateKey(session, &mechanism, template, 2, &flock[keys - 1]));
    must("C_FindObjectsInit", p->C_FindObjectsInit(session, &id, 1));
    for (int asked = 0; asked < 2; asked++) {
      given = 99;
      CK_RV rv = p->C_FindObjects(session, NULL, 2, &given);
      tell("%lu keys, asked 0x%lx: %lu", keys, rv, given);
    }
    CK_RV rv = p->C_FindObjects(session, found, 25, &given);
    tell("%lu keys, taken 0x%lx: %lu", keys, rv, given);
    if (given > 0 && memcmp(found, flock, given * sizeof *found) != 0) tell("not these");
    must("C_FindObjectsFinal", p->C_FindObjectsFinal(session));
  }
  say("C_Finalize", p->C_Finalize(NULL));
}
