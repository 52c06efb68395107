/* A call's arguments into a request. (src/wire/codec.ts reads it) */
#include "marshal.h"

/* -1 is a length query (arguments.ts: ROOM_QUERY). More than a frame holds is never filled, so larger
 * capacities need no distinction. */
void put_room(struct message *request, const void *buffer, CK_ULONG capacity)
{
  if (buffer == NULL) put_u64(request, UINT64_MAX);
  else put_u64(request, capacity < LIMIT_FRAME_BYTES ? capacity : LIMIT_FRAME_BYTES);
}

static CK_RV put_memory(struct message *request, const void *bytes, CK_ULONG length)
{
  if (bytes == NULL && length > 0) return CKR_ARGUMENTS_BAD;
  put_counted(request, bytes, length);
  return CKR_OK;
}

/* The argument without a buffer of its own: one number. */
static void put_number(struct message *request, enum argument_kind kind, CK_ULONG number)
{
  if (kind == KIND_FLAG || kind == KIND_POINTER) put_u8(request, number != 0);
  else put_u64(request, number);
}

/* A buffer to be filled, and where its capacity stands: NULL asks for the length only. */
static CK_RV put_capacity(struct message *request, const void *buffer, const CK_ULONG *capacity)
{
  if (capacity == NULL) return CKR_ARGUMENTS_BAD;
  put_room(request, buffer, buffer == NULL ? 0 : *capacity);
  return CKR_OK;
}

static CK_RV put_up_to(struct message *request, const union value *values)
{
  CK_ULONG max = values[1].number;
  if (values[2].pointer == NULL) return CKR_ARGUMENTS_BAD;
  put_room(request, values[0].pointer, max);
  put_u64(request, max);
  return CKR_OK;
}

/* The answer to C_GenerateRandom has as many bytes as were asked for, behind u32 CK_RV and u8. */
#define FILL_LIMIT (LIMIT_FRAME_BYTES - 5)

static CK_RV put_fill(struct message *request, const union value *values)
{
  if (values[0].pointer == NULL && values[1].number > 0) return CKR_ARGUMENTS_BAD;
  if (values[1].number > FILL_LIMIT) return CKR_DATA_LEN_RANGE;
  put_u64(request, values[1].number);
  return CKR_OK;
}

static CK_RV put_argument(struct message *request, struct argument_row row, const union value *values)
{
  switch ((enum argument_kind)row.kind) {
    case KIND_SESSION:
    case KIND_SLOT:
    case KIND_ULONG:
    case KIND_FLAG:
    case KIND_POINTER:
      put_number(request, row.kind, values[0].number);
      return CKR_OK;
    case KIND_BYTES:
      return put_memory(request, values[0].pointer, values[1].number);
    case KIND_TEXT:
      if (values[0].pointer == NULL) return CKR_ARGUMENTS_BAD;
      put_bytes(request, values[0].pointer, row.detail);
      return CKR_OK;
    case KIND_MECHANISM:
      put_mechanism(request, values[0].pointer);
      return CKR_OK;
    case KIND_TEMPLATE:
      return put_template(request, values[0].pointer, values[1].number);
    case KIND_QUERY:
      return put_query(request, values[0].pointer, values[1].number);
    case KIND_ROOM:
    case KIND_LIST:
    case KIND_SLOTS:
      return put_capacity(request, values[0].pointer, values[1].pointer);
    case KIND_UP_TO:
      return put_up_to(request, values);
    case KIND_FILL:
      return put_fill(request, values);
    case KIND_OUT_ULONG:
    case KIND_OUT_SLOT:
    case KIND_OUT_STRUCT:
      return values[0].pointer == NULL ? CKR_ARGUMENTS_BAD : CKR_OK;
  }
  return CKR_GENERAL_ERROR;
}

CK_RV put_request(struct message *request, enum call_number number, const union value *values)
{
  const struct call_row *row = &call_rows[number];
  put_u16(request, (uint16_t)number);
  for (unsigned i = 0; i < row->argument_count; i++) {
    CK_RV rv = put_argument(request, row->arguments[i], values);
    if (rv != CKR_OK) return row->absent ? CKR_FUNCTION_NOT_SUPPORTED : rv;
    values += values_of_kind(row->arguments[i].kind);
  }
  if (request->trouble == MESSAGE_TOO_LARGE) return row->too_long;
  return request->trouble == MESSAGE_FINE ? CKR_OK : CKR_HOST_MEMORY;
}
