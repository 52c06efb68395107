#define _GNU_SOURCE
#include "pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "channel_memory.h"
#include "complain.h"
#include "locate.h"

#define CHANNELS CONNECTIONS /* each may need one of its own */

/* LOST: nobody is connected; whoever comes first connects, the others wait for the outcome. */
enum pool_state { POOL_STOPPED, LOST, CONNECTING, CONNECTED };

/* The mutex guards all of this, and every channel's `use` and `generation`. It is held for list operations
 * only, never while something is sent or waited for. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static enum pool_state state = POOL_STOPPED;
/* Counts the applications this process has been. A channel of an older one is closed after its call. */
static unsigned generation;
/* Counts attempts to connect that failed, so that those who waited for one do not each try again. */
static unsigned failures;
/* The attempt that state CONNECTING stands for. */
static unsigned attempt;
static bool complained;
static unsigned char application[TOKEN_BYTES];
static char socket_path[SOCKET_PATH_ROOM];
static struct channel channels[CHANNELS];
/* Channels beyond this one have never been used. */
static unsigned channels_touched;
/* Somebody opens another connection: with it may come many channels, so the others wait for those. */
static bool joining;
/* CLOUDHSM_LOCAL_TRANSPORT allows it. */
static bool share;

static struct channel *find_channel(enum channel_use use)
{
  for (unsigned i = 0; i < channels_touched; i++) {
    if (channels[i].use == use) return &channels[i];
  }
  if (use != CHANNEL_UNUSED || channels_touched == CHANNELS) return NULL;
  return &channels[channels_touched++];
}

/* The one that this thread had before: a thread of the engine may see to it, for the session that was called on it. */
static struct channel *find_idle(void)
{
  pthread_t caller = pthread_self();
  struct channel *idle = NULL;
  for (unsigned i = 0; i < channels_touched; i++) {
    if (channels[i].use != CHANNEL_IDLE) continue;
    if (pthread_equal(channels[i].caller, caller)) return &channels[i];
    if (idle == NULL) idle = &channels[i];
  }
  if (idle != NULL) idle->caller = caller;
  return idle;
}

static void connect_channel(struct channel *channel, struct connection *connection, unsigned index)
{
  channel->connection = connection;
  channel->index = index;
  channel->turn = 0;
  channel->begun_ns = channel->answered_ns = 0;
  channel->generation = generation;
}

static bool any_busy(void)
{
  return find_channel(CHANNEL_BUSY) != NULL;
}

static void discard(struct channel *channel)
{
  connection_drop(channel->connection);
  message_free(&channel->request);
  message_free(&channel->answer);
  channel->use = CHANNEL_UNUSED;
}

/* Under the mutex: nobody is connected any more. Calls under way notice that their socket was shut down. */
static void drop_all(enum pool_state next)
{
  state = next;
  for (unsigned i = 0; i < channels_touched; i++) {
    if (channels[i].use == CHANNEL_IDLE) discard(&channels[i]);
    else if (channels[i].use == CHANNEL_BUSY) channel_hang_up(&channels[i]);
  }
  pthread_cond_broadcast(&changed);
}

static void lose(unsigned lost_generation)
{
  if (state == CONNECTED && lost_generation == generation) drop_all(LOST);
}

/* Opens a channel that is unused, with the mutex released. */
static void open_unlocked(struct channel *channel, bool join, struct opening *opening)
{
  unsigned char token[TOKEN_BYTES] = {0};
  if (join) memcpy(token, application, TOKEN_BYTES);
  channel->use = CHANNEL_BUSY;
  connect_channel(channel, connection_take(), 0);
  pthread_mutex_unlock(&mutex);
  channel_open(channel, socket_path, token, share, opening);
  pthread_mutex_lock(&mutex);
}

/* Under the mutex: the other channels that came with one that was opened. */
static void take_in(const struct channel *opened, unsigned count)
{
  for (unsigned index = 1; index < count; index++) {
    struct channel *channel = find_channel(CHANNEL_UNUSED);
    if (channel == NULL) return;
    connection_use(opened->connection);
    connect_channel(channel, opened->connection, index);
    channel->use = CHANNEL_IDLE;
  }
}

/* Under the mutex, in state LOST: becomes a new application. */
static enum pool_result connect_first(struct channel *channel, struct opening *opening)
{
  unsigned mine = ++attempt;
  state = CONNECTING;
  open_unlocked(channel, false, opening);
  pthread_cond_broadcast(&changed);
  /* C_Finalize, and perhaps another C_Initialize, may have come between. */
  bool stopped = state != CONNECTING || attempt != mine;
  if (!stopped) state = opening->result == OPENING_ACCEPTED ? CONNECTED : LOST;
  if (!stopped && state == CONNECTED) {
    channel->generation = ++generation;
    take_in(channel, opening->channels);
    memcpy(application, opening->token, TOKEN_BYTES);
    complained = false;
    return POOL_TAKEN;
  }
  if (!stopped) failures++;
  discard(channel);
  return stopped ? POOL_CLOSED : POOL_UNREACHABLE;
}

/* Under the mutex, in state CONNECTED: another channel of the same application. */
static enum pool_result connect_another(struct channel *channel)
{
  struct opening opening;
  joining = true;
  open_unlocked(channel, true, &opening);
  joining = false;
  pthread_cond_broadcast(&changed);
  bool current = state == CONNECTED && channel->generation == generation;
  if (opening.result == OPENING_ACCEPTED && current) {
    take_in(channel, opening.channels);
    return POOL_TAKEN;
  }
  unsigned joined = channel->generation;
  discard(channel);
  if (opening.result == OPENING_NO_RESOURCES) return POOL_EXHAUSTED;
  if (opening.result == OPENING_REFUSED && opening.status == HANDSHAKE_TOO_MANY) return POOL_EXHAUSTED;
  if (opening.result != OPENING_ACCEPTED) lose(joined); /* the engine is another one now, or none */
  return POOL_UNREACHABLE;
}

/* Connects again after the engine was lost, or waits for the thread that does. True: look again. */
static bool find_engine(struct channel **taken, enum pool_result *result)
{
  if (state == CONNECTING) {
    unsigned before = failures;
    while (state == CONNECTING) pthread_cond_wait(&changed, &mutex);
    *result = POOL_UNREACHABLE;
    return failures == before;
  }
  struct opening opening;
  struct channel *channel = find_channel(CHANNEL_UNUSED);
  if (channel == NULL) { /* all still with calls of the lost engine */
    pthread_cond_wait(&changed, &mutex);
    return true;
  }
  *result = connect_first(channel, &opening);
  if (*result == POOL_TAKEN) *taken = channel;
  if (*result == POOL_UNREACHABLE && opening.result == OPENING_REFUSED && !complained) {
    complained = true;
    pthread_mutex_unlock(&mutex); /* stderr may be a pipe that nobody reads */
    complain_opening(socket_path, &opening);
    pthread_mutex_lock(&mutex);
  }
  return false;
}

/* A connected channel. True: look again. */
static bool find_connected(struct channel **taken, enum pool_result *result, bool patient, bool *may_open)
{
  struct channel *channel = find_idle();
  if (channel != NULL) {
    channel->use = CHANNEL_BUSY;
    *taken = channel;
    *result = POOL_TAKEN;
    return false;
  }
  if (joining) {
    pthread_cond_wait(&changed, &mutex);
    return true;
  }
  channel = *may_open ? find_channel(CHANNEL_UNUSED) : NULL;
  if (channel != NULL) {
    *result = connect_another(channel);
    *taken = channel;
    *may_open = *result != POOL_EXHAUSTED;
    return *result != POOL_TAKEN;
  }
  *result = POOL_EXHAUSTED;
  if (!patient || !any_busy()) return false;
  pthread_cond_wait(&changed, &mutex);
  return true;
}

static enum pool_result find(struct channel **taken, bool patient)
{
  enum pool_result result = POOL_UNREACHABLE;
  bool may_open = true;
  for (bool again = true; again;) {
    if (state == POOL_STOPPED) return POOL_CLOSED;
    if (state == CONNECTED) again = find_connected(taken, &result, patient, &may_open);
    else again = patient && find_engine(taken, &result);
  }
  return result;
}

enum pool_result pool_take(struct channel **taken, bool patient)
{
  for (;;) {
    pthread_mutex_lock(&mutex);
    enum pool_result result = find(taken, patient);
    pthread_mutex_unlock(&mutex);
    if (result != POOL_TAKEN) return result;
    enum channel_state found = channel_check(*taken);
    if (found == CHANNEL_INTACT) return POOL_TAKEN;
    pool_give_back(*taken, found);
  }
}

void pool_give_back(struct channel *channel, enum channel_state channel_state)
{
  /* Before it counts as idle: only an idle channel's memory is sound in a forked child. */
  message_trim(&channel->request);
  message_trim(&channel->answer);
  pthread_mutex_lock(&mutex);
  if (channel_state == CHANNEL_LOST) lose(channel->generation);
  bool current = state == CONNECTED && channel->generation == generation;
  if (channel_state == CHANNEL_INTACT && current) channel->use = CHANNEL_IDLE;
  else discard(channel);
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mutex);
}

bool pool_start(const char *path, struct opening *opening)
{
  pthread_mutex_lock(&mutex);
  strncpy(socket_path, path, sizeof socket_path - 1);
  const char *transport = getenv("CLOUDHSM_LOCAL_TRANSPORT");
  share = transport == NULL || strcmp(transport, "socket") != 0;
  memory_prepare();
  state = LOST;
  *opening = (struct opening){.result = OPENING_NO_RESOURCES};
  struct channel *channel = find_channel(CHANNEL_UNUSED);
  bool started = channel != NULL && connect_first(channel, opening) == POOL_TAKEN;
  if (started) channel->use = CHANNEL_IDLE;
  else drop_all(POOL_STOPPED);
  pthread_mutex_unlock(&mutex);
  return started;
}

void pool_stop(void)
{
  pthread_mutex_lock(&mutex);
  drop_all(POOL_STOPPED);
  pthread_mutex_unlock(&mutex);
}

void pool_forget_parent(void)
{
  /* Another thread of the parent may have held it at the fork. */
  pthread_mutex_init(&mutex, NULL);
  pthread_cond_init(&changed, NULL);
  for (unsigned i = 0; i < channels_touched; i++) {
    if (channels[i].use == CHANNEL_IDLE) {
      message_free(&channels[i].request);
      message_free(&channels[i].answer);
    }
    /* A busy one's thread may have been anywhere in malloc: the memory is left alone. */
    channels[i] = (struct channel){.use = CHANNEL_UNUSED};
  }
  connections_forget_parent();
  memory_forget_parent();
  joining = false;
  complained = false;
  state = POOL_STOPPED;
}
