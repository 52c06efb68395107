/* Digests of inputs that take several turns of shared memory, which the engine hashes as they come. */
#include <stdlib.h>
#include <string.h>

#include "behaviour_support.h"

#define LARGEST (1024 * 1024 + 7)
#define PIECE_BYTES 10000
#define HASHERS 4
#define HASHES_EACH 25

static const CK_MECHANISM_TYPE hashes[] = {CKM_SHA_1, CKM_SHA224, CKM_SHA256, CKM_SHA384, CKM_SHA512};
/* About what one turn and two hold, with what stands beside the input in a request, and where it is first hashed elsewhere. */
static const CK_ULONG lengths[] = {65000,  65319,  65320,  65321,  65343,  65344,  65345,   130000,
                                   130688, 131072, 262143, 262144, 262145, 500000, 1048576, LARGEST};

static CK_BYTE *input;

static CK_ULONG hash_at_once(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_ULONG bytes, CK_BYTE *value)
{
  CK_MECHANISM mechanism = {type, NULL, 0};
  CK_ULONG length = 64;
  must("C_DigestInit", p->C_DigestInit(session, &mechanism));
  must("C_Digest", p->C_Digest(session, input, bytes, value, &length));
  return length;
}

static CK_ULONG hash_pieces(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_ULONG bytes, CK_BYTE *value)
{
  CK_MECHANISM mechanism = {type, NULL, 0};
  CK_ULONG length = 64;
  must("C_DigestInit", p->C_DigestInit(session, &mechanism));
  for (CK_ULONG at = 0; at < bytes; at += PIECE_BYTES) {
    CK_ULONG left = bytes - at;
    must("C_DigestUpdate", p->C_DigestUpdate(session, input + at, left < PIECE_BYTES ? left : PIECE_BYTES));
  }
  must("C_DigestFinal", p->C_DigestFinal(session, value, &length));
  return length;
}

static int count_wrong(CK_SESSION_HANDLE session, CK_SESSION_HANDLE other, CK_MECHANISM_TYPE type)
{
  CK_BYTE value[64], right[64];
  int wrong = 0;
  /* So often that it is repeated from then on. */
  for (int i = 0; i < 5; i++) hash_at_once(session, type, 100, value);
  for (size_t i = 0; i < COUNT(lengths); i++) {
    CK_ULONG length = hash_pieces(other, type, lengths[i], right);
    wrong += hash_at_once(session, type, lengths[i], value) != length || memcmp(value, right, length) != 0;
  }
  return wrong;
}

/* How long the output is, is asked with all of the input; who has too little room for it may ask again. */
static void ask_first(CK_SESSION_HANDLE session)
{
  CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
  CK_BYTE value[32], right[32];
  CK_ULONG length = 0;
  hash_pieces(session, CKM_SHA256, LARGEST, right);
  for (int i = 0; i < 5; i++) hash_at_once(session, CKM_SHA256, 100, value);
  must("C_DigestInit", p->C_DigestInit(session, &sha));
  say("the length", p->C_Digest(session, input, LARGEST, NULL, &length));
  length = 31;
  say("too little room", p->C_Digest(session, input, LARGEST, value, &length));
  say("the digest", p->C_Digest(session, input, LARGEST, value, &length));
  tell("of %lu bytes: %s", length, memcmp(value, right, length) == 0 ? "right" : "wrong");
}

static CK_SESSION_HANDLE shared;
static CK_BYTE of_each[HASHERS][32];

#define BYTES_OF(index) (lengths[COUNT(lengths) - 1 - (size_t)(index)])

/* Whose operation it was does not matter: what is answered is the digest of what was given. */
static CK_RV hash_on_shared(int index)
{
  CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
  for (int i = 0; i < HASHES_EACH; i++) {
    CK_BYTE value[64] = {0};
    CK_ULONG length = sizeof value;
    CK_RV rv = p->C_DigestInit(shared, &sha);
    if (rv != CKR_OK && rv != CKR_OPERATION_ACTIVE) return rv;
    rv = p->C_Digest(shared, input, BYTES_OF(index), value, &length);
    if (rv == CKR_OPERATION_NOT_INITIALIZED) continue;
    if (rv != CKR_OK) return rv;
    if (length != 32 || memcmp(value, of_each[index], 32) != 0) return WRONG;
  }
  return CKR_OK;
}

static void fill_input(void)
{
  input = malloc(LARGEST);
  if (input == NULL) exit(3);
  for (size_t i = 0; i < LARGEST; i++) input[i] = (CK_BYTE)(i * 7 + i / 251);
}

void scene_large_digests(void)
{
  CK_SESSION_HANDLE session = start(), other = open_session();
  fill_input();
  for (size_t i = 0; i < COUNT(hashes); i++) tell("%lu wrong", (CK_ULONG)count_wrong(session, other, hashes[i]));
  ask_first(session);
  for (int i = 0; i < HASHERS; i++) hash_pieces(other, CKM_SHA256, BYTES_OF(i), of_each[i]);
  shared = session;
  in_threads("one session", HASHERS, hash_on_shared);
  free(input);
  say("C_Finalize", p->C_Finalize(NULL));
}

static int rounds;

static CK_RV hash_on_own(int index)
{
  CK_SESSION_HANDLE session = open_session();
  for (int i = 0; i != rounds; i++) {
    CK_BYTE value[64];
    CK_ULONG length = hash_at_once(session, CKM_SHA256, BYTES_OF(index), value);
    if (length != 32 || memcmp(value, of_each[index], 32) != 0) return WRONG;
    if (index == 0 && i == 10) say("hashing", CKR_OK);
  }
  return CKR_OK;
}

static void hash_on_sessions_of_their_own(int times)
{
  CK_SESSION_HANDLE session = start();
  fill_input();
  for (int i = 0; i < HASHERS; i++) hash_pieces(session, CKM_SHA256, BYTES_OF(i), of_each[i]);
  rounds = times;
  in_threads("sessions of their own", HASHERS, hash_on_own);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* To be stopped now and then meanwhile. */
void scene_digest_often(void)
{
  hash_on_sessions_of_their_own(400);
}

/* To be killed. */
void scene_digest_forever(void)
{
  hash_on_sessions_of_their_own(-1);
}
