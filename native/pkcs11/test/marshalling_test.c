/* The marshalling without a transport: requests byte by byte, answers good and bad. Built with ASan. */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "hostile_answers.h"
#include "packing.h"

struct message request;
static struct message answer;

CK_RV pack(enum call_number number, const union value *values)
{
  message_start(&request);
  return put_request(&request, number, values);
}

static void message_bounds(void)
{
  struct message m = {0};
  put_u8(&m, 1);
  put_u16(&m, 0x0302);
  put_u32(&m, 0x07060504);
  put_u64(&m, 0x0f0e0d0c0b0a0908);
  put_counted(&m, "xyz", 3);
  put_bytes(&m, NULL, 0);
  CHECK_THAT(m.length == 22 && m.bytes[0] == 1 && m.bytes[14] == 15 && m.bytes[15] == 3);
  CHECK_THAT(get_u8(&m) == 1 && get_u16(&m) == 0x0302 && get_u32(&m) == 0x07060504);
  CHECK_THAT(get_u64(&m) == 0x0f0e0d0c0b0a0908 && get_u32(&m) == 3);
  CHECK_THAT(!message_ended(&m) && get_bytes(&m, 3) != NULL && message_ended(&m));
  CHECK_THAT(get_u8(&m) == 0 && m.trouble == MESSAGE_MALFORMED && !message_ended(&m));
  message_rewind(&m);
  CHECK_THAT(get_bytes(&m, 1) == NULL); /* trouble stays */
  message_start(&m);
  put_counted(&m, "", (size_t)LIMIT_FRAME_BYTES + 1);
  CHECK_THAT(m.trouble == MESSAGE_TOO_LARGE && m.length == 0);
  message_start(&m);
  put_u32(&m, 7);
  put_bytes(&m, "", SIZE_MAX - 2); /* the sum must not wrap */
  CHECK_THAT(m.trouble == MESSAGE_TOO_LARGE);
  message_start(&m);
  CHECK_THAT(get_bytes(&m, SIZE_MAX) == NULL);
  message_free(&m);
  CHECK_THAT(m.bytes == NULL && m.capacity == 0);
}

static void numbers_and_bytes(void)
{
  CK_BYTE pin[] = "cu:pw";
  CK_SESSION_HANDLE session;
  const union value login[] = {{.number = 7}, {.number = CKU_USER}, {.pointer = pin}, {.number = 5}};
  CHECK_THAT(pack(CALL_C_Login, login) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_Login), put_u64(m, 7), put_u64(m, 1), put_counted(m, "cu:pw", 5));
  const union value no_pin[] = {{.number = 7}, {.number = CKU_USER}, {.pointer = NULL}, {.number = 5}};
  CHECK_THAT(pack(CALL_C_Login, no_pin) == CKR_ARGUMENTS_BAD);
  const union value empty_pin[] = {{.number = 7}, {.number = CKU_USER}, {.pointer = NULL}, {.number = 0}};
  CHECK_THAT(pack(CALL_C_Login, empty_pin) == CKR_OK);
  const union value huge[] = {{.number = 7}, {.number = CKU_USER}, {.pointer = pin}, {.number = ~0UL}};
  CHECK_THAT(pack(CALL_C_Login, huge) == CKR_DATA_LEN_RANGE);

  const union value open[] = {{.number = 0x2000000000000001},
                              {.number = 6},
                              {.number = 1},
                              {.number = 0},
                              {.pointer = &session}};
  CHECK_THAT(pack(CALL_C_OpenSession, open) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_OpenSession), put_u64(m, 0x2000000000000001), put_u64(m, 6), put_u8(m, 1),
             put_u8(m, 0));
  union value nowhere[5];
  memcpy(nowhere, open, sizeof nowhere);
  nowhere[4].pointer = NULL;
  CHECK_THAT(pack(CALL_C_OpenSession, nowhere) == CKR_ARGUMENTS_BAD);

  char label[33] = "0123456789abcdef0123456789abcdef";
  const union value token[] = {{.number = 3}, {.pointer = pin}, {.number = 1}, {.pointer = label}};
  CHECK_THAT(pack(CALL_C_InitToken, token) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_InitToken), put_u64(m, 3), put_counted(m, "c", 1), put_bytes(m, label, 32));
  const union value no_label[] = {{.number = 3}, {.pointer = pin}, {.number = 1}, {.pointer = NULL}};
  /* What CloudHSM does not have looks at no argument. */
  CHECK_THAT(pack(CALL_C_InitToken, no_label) == CKR_FUNCTION_NOT_SUPPORTED);
}

static void rooms(void)
{
  CK_BYTE buffer[8];
  CK_ULONG length = sizeof buffer, list[4];
  const union value fetch[] = {{.number = 1}, {.pointer = buffer}, {.pointer = &length}};
  CHECK_THAT(pack(CALL_C_DigestFinal, fetch) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_DigestFinal), put_u64(m, 1), put_u64(m, 8));
  const union value query[] = {{.number = 1}, {.pointer = NULL}, {.pointer = &length}};
  CHECK_THAT(pack(CALL_C_DigestFinal, query) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_DigestFinal), put_u64(m, 1), put_u64(m, UINT64_MAX));
  const union value no_length[] = {{.number = 1}, {.pointer = buffer}, {.pointer = NULL}};
  CHECK_THAT(pack(CALL_C_DigestFinal, no_length) == CKR_ARGUMENTS_BAD);
  length = CK_UNAVAILABLE_INFORMATION; /* a capacity, not a length query */
  CHECK_THAT(pack(CALL_C_DigestFinal, fetch) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_DigestFinal), put_u64(m, 1), put_u64(m, LIMIT_FRAME_BYTES));

  length = 4;
  const union value slots[] = {{.number = 1}, {.pointer = list}, {.pointer = &length}};
  CHECK_THAT(pack(CALL_C_GetSlotList, slots) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_GetSlotList), put_u8(m, 1), put_u64(m, 4));
  const union value find[] = {{.number = 1}, {.pointer = list}, {.number = 4}, {.pointer = &length}};
  CHECK_THAT(pack(CALL_C_FindObjects, find) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_FindObjects), put_u64(m, 1), put_u64(m, 4), put_u64(m, 4));
  const union value uncounted[] = {{.number = 1}, {.pointer = list}, {.number = 4}, {.pointer = NULL}};
  CHECK_THAT(pack(CALL_C_FindObjects, uncounted) == CKR_ARGUMENTS_BAD);

  const union value random[] = {{.number = 1}, {.pointer = buffer}, {.number = 8}};
  CHECK_THAT(pack(CALL_C_GenerateRandom, random) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_GenerateRandom), put_u64(m, 1), put_u64(m, 8));
  const union value unfillable[] = {{.number = 1}, {.pointer = NULL}, {.number = 8}};
  CHECK_THAT(pack(CALL_C_GenerateRandom, unfillable) == CKR_ARGUMENTS_BAD);
  const union value endless[] = {{.number = 1}, {.pointer = buffer}, {.number = ~0UL}};
  CHECK_THAT(pack(CALL_C_GenerateRandom, endless) == CKR_DATA_LEN_RANGE);
}

static CK_RV pack_template(CK_ATTRIBUTE *attributes, CK_ULONG count)
{
  const union value values[] = {{.number = 1}, {.pointer = attributes}, {.number = count}};
  return pack(CALL_C_FindObjectsInit, values);
}

static void templates(void)
{
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE inner[] = {{CKA_TOKEN, &yes, 1}, {CKA_LABEL, NULL, 0}};
  CK_ATTRIBUTE outer[] = {{CKA_WRAP_TEMPLATE, inner, sizeof inner}, {CKA_LABEL, "k", 1}};
  CHECK_THAT(pack_template(outer, 2) == CKR_OK);
  REQUEST_IS(put_u16(m, CALL_C_FindObjectsInit), put_u64(m, 1), put_u32(m, 2), put_u64(m, CKA_WRAP_TEMPLATE),
             put_u8(m, 1), put_u32(m, 2), put_u64(m, CKA_TOKEN), put_u8(m, 0), put_counted(m, "\1", 1),
             put_u64(m, CKA_LABEL), put_u8(m, 0), put_u32(m, 0), put_u64(m, CKA_LABEL), put_u8(m, 0),
             put_counted(m, "k", 1));
  CHECK_THAT(pack_template(NULL, 0) == CKR_OK);
  CHECK_THAT(pack_template(NULL, 1) == CKR_ARGUMENTS_BAD);

  CK_ATTRIBUTE odd = {CKA_WRAP_TEMPLATE, inner, sizeof inner - 1}; /* no array of attributes: raw bytes */
  CHECK_THAT(pack_template(&odd, 1) == CKR_OK && request.bytes[22] == 0);
  CK_ATTRIBUTE null_value = {CKA_LABEL, NULL, 3};
  CHECK_THAT(pack_template(&null_value, 1) == CKR_ARGUMENTS_BAD);
  CK_ATTRIBUTE null_nested = {CKA_WRAP_TEMPLATE, NULL, sizeof inner};
  CHECK_THAT(pack_template(&null_nested, 1) == CKR_ARGUMENTS_BAD);
  CK_ATTRIBUTE large = {CKA_VALUE, inner, LIMIT_ATTRIBUTE_BYTES + 1UL};
  CHECK_THAT(pack_template(&large, 1) == CKR_ATTRIBUTE_VALUE_INVALID);

  CK_ATTRIBUTE chain[LIMIT_TEMPLATE_DEPTH + 2];
  chain[0] = (CK_ATTRIBUTE){CKA_TOKEN, &yes, 1};
  for (int i = 1; i < LIMIT_TEMPLATE_DEPTH + 2; i++) {
    chain[i] = (CK_ATTRIBUTE){CKA_DERIVE_TEMPLATE, &chain[i - 1], sizeof chain[0]};
  }
  CHECK_THAT(pack_template(&chain[LIMIT_TEMPLATE_DEPTH], 1) == CKR_OK);
  CHECK_THAT(pack_template(&chain[LIMIT_TEMPLATE_DEPTH + 1], 1) == CKR_TEMPLATE_INCONSISTENT);
  CK_ATTRIBUTE loop = {CKA_UNWRAP_TEMPLATE, &loop, sizeof loop};
  CHECK_THAT(pack_template(&loop, 1) == CKR_TEMPLATE_INCONSISTENT);

  CK_ATTRIBUTE many[LIMIT_TEMPLATE_ATTRIBUTES + 1];
  memset(many, 0, sizeof many);
  CHECK_THAT(pack_template(many, LIMIT_TEMPLATE_ATTRIBUTES) == CKR_OK);
  CHECK_THAT(pack_template(many, LIMIT_TEMPLATE_ATTRIBUTES + 1) == CKR_TEMPLATE_INCONSISTENT);
  const union value query[] = {{.number = 1}, {.number = 2}, {.pointer = many}, {.number = ~0UL}};
  CHECK_THAT(pack(CALL_C_GetAttributeValue, query) == CKR_TEMPLATE_INCONSISTENT);

  char unaligned[sizeof inner + 1]; /* a nested template need not be aligned */
  memcpy(unaligned + 1, inner, sizeof inner);
  CK_ATTRIBUTE crooked = {CKA_WRAP_TEMPLATE, unaligned + 1, sizeof inner};
  CHECK_THAT(pack_template(&crooked, 1) == CKR_OK);
}

int main(void)
{
  message_bounds();
  numbers_and_bytes();
  rooms();
  templates();
  packed_mechanisms();
  good_answers(&answer);
  hostile_answers(&answer);
  mutated_answers(&answer);
  message_free(&request);
  message_free(&answer);
  return check_summary("marshalling");
}
