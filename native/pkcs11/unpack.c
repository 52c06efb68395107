/* An answer into the memory a call's caller offered. (src/wire/codec.ts writes it) */
#include <string.h>

#include "marshal.h"

bool fits_offer(CK_RV rv, const void *buffer, CK_ULONG capacity, uint64_t full, uint64_t given)
{
  if (buffer == NULL) return given == 0;
  if (capacity > LIMIT_FRAME_BYTES) capacity = LIMIT_FRAME_BYTES; /* as put_room told the engine */
  /* A program trusts a length within its buffer, and after CKR_OK any length. */
  return full <= capacity ? given == full : given == 0 && rv != CKR_OK;
}

static void take_room(struct message *answer, const union value *values, CK_RV rv, enum pass pass)
{
  unsigned char *buffer = values[0].pointer;
  CK_ULONG *capacity = values[1].pointer;
  uint64_t full = get_u64(answer);
  uint32_t given = get_u32(answer);
  const unsigned char *bytes = get_bytes(answer, given);
  if (!fits_offer(rv, buffer, *capacity, full, given)) message_malformed(answer);
  if (pass == CHECK || answer->trouble != MESSAGE_FINE) return;
  if (given > 0) memcpy(buffer, bytes, given);
  *capacity = full;
}

/* Handles, mechanism numbers and slot ids alike: CK_ULONGs. */
static void take_list(struct message *answer, CK_ULONG *list, CK_ULONG offered, CK_ULONG *count, CK_RV rv,
                      enum pass pass)
{
  uint64_t full = get_u64(answer);
  uint32_t given = get_u32(answer);
  if (!fits_offer(rv, list, offered, full, given)) message_malformed(answer);
  for (uint32_t i = 0; i < given && answer->trouble == MESSAGE_FINE; i++) {
    CK_ULONG entry = get_u64(answer);
    if (pass == DELIVER) list[i] = entry;
  }
  if (pass == DELIVER && answer->trouble == MESSAGE_FINE) *count = full;
}

static void take_struct(struct message *answer, const struct layout *layout, unsigned char *structure,
                        enum pass pass)
{
  for (unsigned i = 0; i < layout->field_count; i++) {
    const struct field_row *field = &layout->fields[i];
    unsigned char *member = structure + field->offset;
    if (field->kind == FIELD_ULONG || field->kind == FIELD_SLOT) {
      CK_ULONG number = get_u64(answer);
      if (pass == DELIVER) memcpy(member, &number, sizeof number);
    } else {
      size_t size = field->kind == FIELD_VERSION ? sizeof(CK_VERSION) : field->size;
      const unsigned char *bytes = get_bytes(answer, size);
      if (pass == DELIVER && bytes != NULL) memcpy(member, bytes, size);
    }
  }
}

static void take_fill(struct message *answer, const union value *values, enum pass pass)
{
  const unsigned char *bytes = get_bytes(answer, values[1].number);
  if (pass == DELIVER && bytes != NULL && values[1].number > 0) {
    memcpy(values[0].pointer, bytes, values[1].number);
  }
}

static void take_output(struct message *answer, struct argument_row row, const union value *values, CK_RV rv,
                        enum pass pass)
{
  switch ((enum argument_kind)row.kind) {
    case KIND_MECHANISM:
      take_returned(answer, values[0].pointer, pass);
      return;
    case KIND_QUERY:
      take_query(answer, values[0].pointer, values[1].number, rv, pass);
      return;
    case KIND_ROOM:
      take_room(answer, values, rv, pass);
      return;
    case KIND_LIST:
    case KIND_SLOTS:
      take_list(answer, values[0].pointer, *(CK_ULONG *)values[1].pointer, values[1].pointer, rv, pass);
      return;
    case KIND_UP_TO:
      take_list(answer, values[0].pointer, values[1].number, values[2].pointer, rv, pass);
      return;
    case KIND_FILL:
      take_fill(answer, values, pass);
      return;
    case KIND_OUT_ULONG:
    case KIND_OUT_SLOT: {
      CK_ULONG number = get_u64(answer);
      if (pass == DELIVER) *(CK_ULONG *)values[0].pointer = number;
      return;
    }
    case KIND_OUT_STRUCT:
      take_struct(answer, &info_layouts[row.detail], values[0].pointer, pass);
      return;
    default: /* the other kinds only travel to the engine */
      return;
  }
}

/* u32 CK_RV, u8 whether outputs follow, the outputs. */
static CK_RV take_outputs(struct message *answer, enum call_number number, const union value *values,
                          enum pass pass)
{
  const struct call_row *row = &call_rows[number];
  message_rewind(answer);
  CK_RV rv = get_u32(answer);
  uint8_t follow = get_u8(answer);
  if (follow > 1) message_malformed(answer);
  for (unsigned i = 0; follow == 1 && i < row->argument_count; i++) {
    take_output(answer, row->arguments[i], values, rv, pass);
    values += values_of_kind(row->arguments[i].kind);
  }
  return rv;
}

/* Whether the call has something to fill in besides what a mechanism may give back. */
static bool has_outputs(const struct call_row *row)
{
  for (unsigned i = 0; i < row->argument_count; i++) {
    if (row->arguments[i].kind >= KIND_QUERY) return true;
  }
  return false;
}

bool take_answer(struct message *answer, enum call_number number, const union value *values, CK_RV *rv)
{
  *rv = take_outputs(answer, number, values, CHECK);
  if (!message_ended(answer)) return false;
  /* CKR_OK without its outputs would leave the program reading what it never got. */
  bool followed = answer->bytes[4] == 1;
  if (*rv == CKR_OK && !followed && has_outputs(&call_rows[number])) return false;
  if (followed) take_outputs(answer, number, values, DELIVER);
  return message_ended(answer);
}
