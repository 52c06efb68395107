#include "hostile_answers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../marshal.h"
#include "check.h"

/* What a program offers: each piece allocated by itself, so that ASan sees every byte written beyond it. */
struct offer {
  CK_BYTE *buffer, *iv, *first, *second;
  CK_ULONG *list, length, count, handle;
  CK_TOKEN_INFO *info;
  CK_GCM_PARAMS gcm;
  CK_MECHANISM mechanism;
  CK_ATTRIBUTE attributes[3];
};

#define BUFFER 24
#define LIST 3
#define IV 12

static void *filled(size_t length)
{
  void *bytes = malloc(length);
  if (bytes == NULL) abort();
  return memset(bytes, 0xee, length);
}

static struct offer *new_offer(void)
{
  struct offer *offer = filled(sizeof *offer);
  offer->buffer = filled(BUFFER);
  offer->iv = filled(IV);
  offer->first = filled(4);
  offer->second = filled(8);
  offer->list = filled(LIST * sizeof(CK_ULONG));
  offer->info = filled(sizeof *offer->info);
  offer->length = BUFFER;
  offer->count = LIST;
  offer->gcm = (CK_GCM_PARAMS){offer->iv, IV, 96, NULL, 0, 128};
  offer->mechanism = (CK_MECHANISM){CKM_AES_GCM, &offer->gcm, sizeof offer->gcm};
  offer->attributes[0] = (CK_ATTRIBUTE){CKA_LABEL, offer->first, 4};
  offer->attributes[1] = (CK_ATTRIBUTE){CKA_ID, NULL, 99};
  offer->attributes[2] = (CK_ATTRIBUTE){CKA_VALUE, offer->second, 8};
  return offer;
}

static void free_offer(struct offer *offer)
{
  free(offer->buffer);
  free(offer->iv);
  free(offer->first);
  free(offer->second);
  free(offer->list);
  free(offer->info);
  free(offer);
}

/* The calls tried, one per kind of output, with their values and a good answer. */
enum trial { ROOM, NULL_ROOM, SLOTS, FOUND, FILL, NUMBER, SLOT, STRUCT, QUERY, RETURNED, NOTHING, TRIALS };

static enum call_number trial_values(enum trial trial, struct offer *o, union value *v)
{
  v[0].number = 1;
  switch (trial) {
    case ROOM:
    case NULL_ROOM:
      v[1].pointer = trial == ROOM ? o->buffer : NULL;
      v[2].pointer = &o->length;
      return CALL_C_DigestFinal;
    case SLOTS:
      v[1].pointer = o->list;
      v[2].pointer = &o->count;
      return CALL_C_GetSlotList;
    case FOUND:
      v[1].pointer = o->list;
      v[2].number = LIST;
      v[3].pointer = &o->count;
      return CALL_C_FindObjects;
    case FILL:
      v[1].pointer = o->buffer;
      v[2].number = BUFFER;
      return CALL_C_GenerateRandom;
    case NUMBER:
      v[2].pointer = &o->handle;
      return CALL_C_GetObjectSize;
    case SLOT:
      v[1].pointer = &o->handle;
      return CALL_C_WaitForSlotEvent;
    case STRUCT:
      v[1].pointer = o->info;
      return CALL_C_GetTokenInfo;
    case QUERY:
      v[2].pointer = o->attributes;
      v[3].number = 3;
      return CALL_C_GetAttributeValue;
    case RETURNED:
      v[1].pointer = &o->mechanism;
      return CALL_C_EncryptInit;
    default:
      return CALL_C_CloseSession;
  }
}

static void begin(struct message *answer, CK_RV rv)
{
  message_start(answer);
  put_u32(answer, (uint32_t)rv);
  put_u8(answer, 1);
}

static void put_list(struct message *answer, uint64_t full, uint32_t given)
{
  begin(answer, CKR_OK);
  put_u64(answer, full);
  put_u32(answer, given);
  for (uint32_t i = 0; i < given; i++) put_u64(answer, 100 + i);
}

static void put_value(struct message *answer, uint64_t full, const char *bytes)
{
  put_u64(answer, full);
  put_counted(answer, bytes, strlen(bytes));
}

static void put_good(enum trial trial, struct message *answer)
{
  begin(answer, CKR_OK);
  switch (trial) {
    case ROOM:
      put_value(answer, 6, "digest");
      return;
    case NULL_ROOM:
      put_value(answer, 32, "");
      return;
    case SLOTS:
    case FOUND:
      put_list(answer, 2, 2);
      return;
    case FILL:
      put_bytes(answer, "abcdefghijklmnopqrstuvwx", BUFFER);
      return;
    case NUMBER:
    case SLOT:
      put_u64(answer, 0x2000000000000001);
      return;
    case STRUCT:
      for (int i = 0; i < 32 + 32 + 16 + 16; i++) put_u8(answer, 'a');
      for (uint64_t i = 0; i < 11; i++) put_u64(answer, i == 1 ? UINT64_MAX : i);
      for (int i = 0; i < 4 + 16; i++) put_u8(answer, 'z');
      return;
    case QUERY:
      put_value(answer, 3, "lab");
      put_value(answer, 16, "");
      put_value(answer, UINT64_MAX, "");
      return;
    case RETURNED:
      put_counted(answer, "twelve bytes", IV);
      return;
    default:
      return;
  }
}

static bool take(enum trial trial, struct offer *offer, struct message *answer, CK_RV *rv)
{
  union value values[8] = {{.number = 0}};
  enum call_number number = trial_values(trial, offer, values);
  return take_answer(answer, number, values, rv);
}

void good_answers(struct message *answer)
{
  CK_RV rv;
  struct offer *o = new_offer();
  for (enum trial trial = 0; trial < TRIALS; trial++) {
    if (trial == NULL_ROOM) {
      CHECK_THAT(o->length == 6 && memcmp(o->buffer, "digest\xee", 7) == 0);
    }
    o->count = LIST;
    put_good(trial, answer);
    CHECK_THAT(take(trial, o, answer, &rv) && rv == CKR_OK);
    if (trial == SLOTS || trial == FOUND) CHECK_THAT(o->count == 2 && o->list[1] == 101);
    if (trial == NUMBER || trial == SLOT) CHECK_THAT(o->handle == 0x2000000000000001);
  }
  CHECK_THAT(o->length == 32);
  CHECK_THAT(o->info->label[31] == 'a' && o->info->ulMaxSessionCount == CK_UNAVAILABLE_INFORMATION);
  CHECK_THAT(o->info->ulFreePrivateMemory == 10 && o->info->utcTime[15] == 'z');
  CHECK_THAT(memcmp(o->first, "lab\xee", 4) == 0 && o->attributes[0].ulValueLen == 3);
  CHECK_THAT(o->attributes[1].ulValueLen == 16);
  CHECK_THAT(o->attributes[2].ulValueLen == CK_UNAVAILABLE_INFORMATION && o->second[0] == 0xee);
  CHECK_THAT(memcmp(o->iv, "twelve bytes", IV) == 0);
  CHECK_THAT(memcmp(o->buffer, "abcdefghijklmnopqrstuvwx", BUFFER) == 0);

  begin(answer, CKR_BUFFER_TOO_SMALL);
  put_value(answer, 100, "");
  o->length = BUFFER;
  CHECK_THAT(take(ROOM, o, answer, &rv) && rv == CKR_BUFFER_TOO_SMALL && o->length == 100);
  message_start(answer);
  put_u32(answer, CKR_SESSION_HANDLE_INVALID);
  put_u8(answer, 0);
  CHECK_THAT(take(ROOM, o, answer, &rv) && rv == CKR_SESSION_HANDLE_INVALID);
  free_offer(o);
}

/* The answer is refused, and the program's memory is as it was. */
static void refused(enum trial trial, struct message *answer)
{
  CK_RV rv;
  struct offer *o = new_offer();
  CHECK_THAT(!take(trial, o, answer, &rv));
  CHECK_THAT(o->length == BUFFER && o->count == LIST && o->buffer[0] == 0xee && o->iv[0] == 0xee);
  CHECK_THAT(o->list[0] == 0xeeeeeeeeeeeeeeee && o->first[0] == 0xee && o->info->label[0] == 0xee);
  CHECK_THAT(o->attributes[0].ulValueLen == 4 && o->handle == 0xeeeeeeeeeeeeeeee);
  free_offer(o);
}

static void refused_cut_and_trailing(struct message *answer)
{
  for (enum trial trial = 0; trial < TRIALS; trial++) {
    put_good(trial, answer);
    size_t whole = answer->length;
    for (size_t length = 0; length < whole; length++) {
      put_good(trial, answer);
      answer->length = length;
      refused(trial, answer);
    }
    put_good(trial, answer);
    put_u8(answer, 0);
    refused(trial, answer);
  }
}

/* An array with one entry: its type, its length, its value. */
static void put_entry(struct message *answer, CK_ATTRIBUTE_TYPE type, uint64_t full, const char *value)
{
  put_u64(answer, sizeof(CK_ATTRIBUTE));
  put_u32(answer, 1);
  put_u64(answer, type);
  put_value(answer, full, value);
}

/* The CK_ATTRIBUTEs of a nested template are the program's: their pointers stay, and lead where they did. */
static void nested_template_queries(struct message *answer)
{
  CK_RV rv;
  char room[8] = "-------";
  CK_ATTRIBUTE inner = {0, NULL, 0};
  CK_ATTRIBUTE outer = {CKA_WRAP_TEMPLATE, &inner, sizeof inner};
  const union value values[] = {{.number = 1}, {.number = 2}, {.pointer = &outer}, {.number = 1}};
#define TAKEN() take_answer(answer, CALL_C_GetAttributeValue, values, &rv)
  begin(answer, CKR_OK);
  put_value(answer, sizeof inner, "a pointer, a length, ...");
  CHECK_THAT(!TAKEN());
  begin(answer, CKR_OK); /* a value for which there is no buffer */
  put_entry(answer, CKA_LABEL, 3, "key");
  CHECK_THAT(!TAKEN() && inner.type == 0 && inner.ulValueLen == 0);
  begin(answer, CKR_OK); /* two entries where there is room for one */
  put_u64(answer, 2 * sizeof inner);
  put_u32(answer, 2);
  for (int i = 0; i < 2; i++) {
    put_u64(answer, CKA_LABEL);
    put_value(answer, 3, "");
  }
  CHECK_THAT(!TAKEN() && inner.type == 0);
  begin(answer, CKR_OK); /* a length that is not the entries' */
  put_u64(answer, 2 * sizeof inner);
  put_u32(answer, 0);
  CHECK_THAT(!TAKEN());

  begin(answer, CKR_OK);
  put_entry(answer, CKA_LABEL, 3, "");
  CHECK_THAT(TAKEN() && inner.type == CKA_LABEL && inner.ulValueLen == 3 && inner.pValue == NULL);
  inner = (CK_ATTRIBUTE){CKA_LABEL, room, sizeof room};
  begin(answer, CKR_OK);
  put_entry(answer, CKA_LABEL, 3, "key");
  CHECK_THAT(TAKEN() && memcmp(room, "key----", 8) == 0 && inner.ulValueLen == 3 && inner.pValue == room);
  inner = (CK_ATTRIBUTE){CKA_ID, room, sizeof room}; /* as if it were not initialised */
  begin(answer, CKR_OK);
  put_entry(answer, CKA_LABEL, 3, "yek");
  CHECK_THAT(!TAKEN() && memcmp(room, "key----", 8) == 0);
  begin(answer, CKR_OK);
  put_entry(answer, CKA_LABEL, 3, "");
  CHECK_THAT(TAKEN() && memcmp(room, "key----", 8) == 0 && inner.type == CKA_LABEL && inner.ulValueLen == 3);

  outer.pValue = NULL;
  begin(answer, CKR_OK);
  put_entry(answer, CKA_LABEL, 3, "");
  CHECK_THAT(!TAKEN());
  begin(answer, CKR_OK);
  put_value(answer, sizeof inner, "");
  CHECK_THAT(TAKEN() && outer.ulValueLen == sizeof inner);
#undef TAKEN
}

void hostile_answers(struct message *answer)
{
  static const char thirty[] = "123456789012345678901234567890";
  refused_cut_and_trailing(answer);
  nested_template_queries(answer);
  begin(answer, CKR_OK);
  put_value(answer, 30, thirty); /* more than the buffer */
  refused(ROOM, answer);
  begin(answer, CKR_OK);
  put_value(answer, 30, ""); /* success, and a length beyond the buffer */
  refused(ROOM, answer);
  begin(answer, CKR_OK);
  put_value(answer, 6, "seven77"); /* two lengths */
  refused(ROOM, answer);
  begin(answer, CKR_BUFFER_TOO_SMALL);
  put_value(answer, 5, ""); /* it would have fitted */
  refused(ROOM, answer);
  begin(answer, CKR_OK);
  put_value(answer, 6, "digest"); /* into no buffer */
  refused(NULL_ROOM, answer);
  put_list(answer, LIST + 1, LIST + 1);
  refused(SLOTS, answer);
  refused(FOUND, answer);
  put_list(answer, LIST + 1, 0);
  refused(SLOTS, answer);
  put_list(answer, 1, 2);
  refused(FOUND, answer);
  begin(answer, CKR_OK);
  put_counted(answer, thirty, IV + 1); /* more than ulIvLen */
  refused(RETURNED, answer);
  begin(answer, CKR_OK);
  put_value(answer, 5, "label"); /* four bytes of room */
  refused(QUERY, answer);
  begin(answer, CKR_OK);
  put_value(answer, 3, "lab");
  put_value(answer, 1, "x"); /* into no buffer; nothing of the first was written */
  put_value(answer, UINT64_MAX, "");
  refused(QUERY, answer);
  put_good(NOTHING, answer);
  answer->bytes[4] = 2; /* outputs follow: yes, no, and what? */
  refused(NOTHING, answer);
  message_start(answer);
  put_u32(answer, CKR_OK);
  put_u8(answer, 0); /* success without its outputs */
  refused(ROOM, answer);
  refused(NUMBER, answer);
}

/* xorshift64*: the same mutations on every machine. */
static uint64_t next_random(uint64_t *state)
{
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * 0x2545f4914f6cdd1dULL;
}

static void mutate(struct message *answer, uint64_t *state)
{
  static const unsigned char telling[] = {0, 1, 2, 4, 8, 12, 13, 24, 25, 0x7f, 0x80, 0xff};
  for (uint64_t changes = 1 + next_random(state) % 4; changes > 0; changes--) {
    size_t at = next_random(state) % answer->length;
    uint64_t random = next_random(state);
    if (random % 8 == 0) answer->length = at + 1;
    else if (random % 8 == 1) put_u32(answer, (uint32_t)(random >> 32));
    else if (random % 8 < 5) answer->bytes[at] = telling[(random >> 8) % sizeof telling];
    else answer->bytes[at] = (unsigned char)(random >> 16);
  }
}

void mutated_answers(struct message *answer)
{
  const char *wanted = getenv("MUTATIONS");
  long count = wanted != NULL ? atol(wanted) : 300000;
  uint64_t state = 0x636c6f756468736dULL;
  long accepted = 0;
  for (long i = 0; i < count; i++) {
    CK_RV rv;
    enum trial trial = (enum trial)(i % TRIALS);
    struct offer *offer = new_offer();
    put_good(trial, answer);
    mutate(answer, &state);
    accepted += take(trial, offer, answer, &rv);
    /* After CKR_OK a program reads as many as it is told. */
    if (trial == ROOM && rv == CKR_OK) CHECK_THAT(offer->length <= BUFFER);
    if (trial == FOUND && rv == CKR_OK) CHECK_THAT(offer->count <= LIST);
    free_offer(offer);
  }
  CHECK_THAT(accepted < count || count == 0);
  printf("%ld mutated answers, %ld of them still well-formed\n", count, accepted);
}
