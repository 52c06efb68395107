#include "call.h"

#include "marshal.h"
#include "module.h"
#include "pool.h"

/* What a call answers whose engine went away, or that C_Finalize interrupted. */
static CK_RV interrupted(void)
{
  return module_running() ? CKR_DEVICE_ERROR : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV without_channel(enum pool_result why, const struct call_row *row)
{
  if (why == POOL_CLOSED || !module_running()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  if (why == POOL_EXHAUSTED) return CKR_HOST_MEMORY;
  /* Sessions die with their engine. (reference: client-behaviours A 15) */
  return row->arguments[0].kind == KIND_SESSION ? CKR_SESSION_HANDLE_INVALID : CKR_DEVICE_ERROR;
}

/* The answer to the request that a channel has; says what the channel is good for afterwards. */
static CK_RV converse(struct channel *channel, enum call_number number, const union value *values,
                      enum channel_state *state, int limit_ms)
{
  CK_RV rv;
  *state = CHANNEL_INTACT;
  switch (channel_exchange(channel, limit_ms)) {
    case EXCHANGED:
      if (take_answer(channel_answer(channel), number, values, &rv)) return rv;
      *state = CHANNEL_SPOILT;
      return CKR_DEVICE_ERROR;
    case EXCHANGE_LOST:
      *state = CHANNEL_LOST;
      return interrupted();
    case EXCHANGE_GARBLED:
    case EXCHANGE_LATE:
      break;
  }
  *state = CHANNEL_SPOILT;
  return CKR_DEVICE_ERROR;
}

static CK_RV perform(enum call_number number, const union value *values)
{
  const struct call_row *row = &call_rows[number];
  struct channel *channel;
  enum channel_state state = CHANNEL_INTACT;
  enum pool_result taken = pool_take(&channel, true);
  if (taken != POOL_TAKEN) return without_channel(taken, row);
  CK_RV rv = put_request(channel_request(channel), number, values);
  bool unsent = rv != CKR_OK;
  if (!unsent) rv = converse(channel, number, values, &state, NO_LIMIT);
  if (row->secret) channel_cleanse(channel);
  pool_give_back(channel, state);
  /* The engine has not heard of it: its operation ends as a program cancels one. */
  const union value cancelling[] = {values[0], {.pointer = NULL}, {.number = 0}};
  if (unsent && row->init != 0) perform((enum call_number)row->init, cancelling);
  return rv;
}

/* A frame's header and all arguments but the data take less. */
#define LONGEST_WHOLE_BYTES (LIMIT_FRAME_BYTES - 4096UL)
#define PIECE_BYTES (16UL << 20)
/* No program has more: such a length is a mistake, and its bytes are not there. */
#define LONGEST_BYTES (1UL << 40)

/* The places of the C parameters in such a call, whose third argument is Final's second. */
enum { SESSION, DATA, DATA_LENGTH, OUTPUT, OUTPUT_LENGTH };

static bool needs_pieces(const struct call_row *row, const union value *values)
{
  return row->update != 0 && values[DATA].pointer != NULL && values[DATA_LENGTH].number > LONGEST_WHOLE_BYTES
         && values[DATA_LENGTH].number <= LONGEST_BYTES;
}

/* Whether the output has room, which has to be known before the data is gone: the program may come again with more of it.
 * CKR_OK with `*complete` where the answer is the length that it needs. */
static CK_RV look_at_room(enum call_number number, const union value *values, bool *complete)
{
  CK_ULONG needed = 0, *capacity = values[OUTPUT_LENGTH].pointer;
  const union value query[] = {
      values[SESSION], {.pointer = NULL}, {.number = 0}, {.pointer = NULL}, {.pointer = capacity == NULL ? NULL : &needed}};
  CK_RV rv = perform(number, query);
  if (rv != CKR_OK) return rv;
  *complete = values[OUTPUT].pointer == NULL;
  if (!*complete && *capacity >= needed) return CKR_OK;
  *capacity = needed;
  return *complete ? CKR_OK : CKR_BUFFER_TOO_SMALL;
}

static CK_RV perform_in_pieces(enum call_number number, const union value *values)
{
  const struct call_row *row = &call_rows[number];
  bool complete = false;
  if (row->final != 0 && row->arguments[2].kind == KIND_ROOM) {
    CK_RV rv = look_at_room(number, values, &complete);
    if (rv != CKR_OK || complete) return rv;
  }
  unsigned char *at = values[DATA].pointer;
  for (CK_ULONG left = values[DATA_LENGTH].number; left > 0;) {
    CK_ULONG bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
    const union value piece[] = {values[SESSION], {.pointer = at}, {.number = bytes}};
    CK_RV rv = perform(row->update, piece);
    if (rv != CKR_OK) return rv;
    at += bytes;
    left -= bytes;
  }
  if (row->final == 0) return CKR_OK;
  const union value rest[] = {values[SESSION], values[OUTPUT], values[OUTPUT_LENGTH]};
  return perform(row->final, rest);
}

CK_RV call(enum call_number number, const union value *values)
{
  if (!module_enter()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  const struct call_row *row = &call_rows[number];
  CK_RV rv = needs_pieces(row, values) ? perform_in_pieces(number, values) : perform(number, values);
  module_leave();
  return rv;
}

void call_finalize(int limit_ms)
{
  const union value nothing[] = {{.number = 0}};
  struct channel *channel;
  enum channel_state state = CHANNEL_INTACT;
  if (pool_take(&channel, false) != POOL_TAKEN) return;
  CK_RV rv = put_request(channel_request(channel), CALL_C_Finalize, nothing);
  if (rv == CKR_OK) converse(channel, CALL_C_Finalize, nothing, &state, limit_ms);
  pool_give_back(channel, state);
}
