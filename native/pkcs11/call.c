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

/* One request and its answer on a channel; says what the channel is good for afterwards. */
static CK_RV converse(struct channel *channel, enum call_number number, const union value *values,
                      enum channel_state *state, int limit_ms)
{
  CK_RV rv = put_request(channel_request(channel), number, values);
  *state = CHANNEL_INTACT;
  if (rv != CKR_OK) return rv;
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
  enum channel_state state;
  enum pool_result taken = pool_take(&channel, true);
  if (taken != POOL_TAKEN) return without_channel(taken, row);
  CK_RV rv = converse(channel, number, values, &state, NO_LIMIT);
  if (row->secret) channel_cleanse(channel);
  pool_give_back(channel, state);
  return rv;
}

CK_RV call(enum call_number number, const union value *values)
{
  if (!module_enter()) return CKR_CRYPTOKI_NOT_INITIALIZED;
  CK_RV rv = perform(number, values);
  module_leave();
  return rv;
}

void call_finalize(int limit_ms)
{
  const union value nothing[] = {{.number = 0}};
  struct channel *channel;
  enum channel_state state;
  if (pool_take(&channel, false) != POOL_TAKEN) return;
  converse(channel, CALL_C_Finalize, nothing, &state, limit_ms);
  pool_give_back(channel, state);
}
