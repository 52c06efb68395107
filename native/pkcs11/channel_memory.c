#define _GNU_SOURCE /* sched_getaffinity, syscall */
#include "channel_memory.h"

#ifdef __linux__

#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shared/channel-layout.h"
#include "channel_socket.h"
#include "clock.h"

/* The engine answers most calls within this. A thread that sleeps costs both sides more than that. */
#define SPIN_NS 50000
/* So long where the engine has asked somebody else, who may want this processor and gets it first: who sleeps meanwhile makes the
 * others wait, and being woken takes up to 50 us on virtual machines. */
#define YIELDING_NS 250000
/* A processor that was yielded to somebody who computes comes back after milliseconds, and to who is woken at once: then nobody yields
 * for a while, twice as long each time that it is no better afterwards. */
#define LONG_YIELD_NS 250000
#define FIRST_PAUSE_NS 2000000
#define LONGEST_PAUSE_NS 32000000
/* How often a spinning call looks before it reads the clock, which takes longer than a short call can afford. */
#define LOOKS 64
/* After each time in vain, spinning for that C_ function is left out more often, up to 2^this - 1 times: it may be
 * slow, or the engine may not run because this thread has its processor. */
#define MOST_IN_VAIN 4
/* How often a sleeping call looks whether the engine still lives. */
#define LOOK_NS 150000000

static atomic_uint processors = 1;
static atomic_uint spinning;
static struct {
  atomic_llong not_before, pause;
} yielding;
/* By call number: functions differ much more than channels do. Threads may disturb each other's counts, no more. */
static struct {
  atomic_uchar in_vain; /* in a row */
  atomic_uchar left_out;
} spins[256];

bool memory_possible(void)
{
  return true;
}

void memory_prepare(void)
{
  cpu_set_t usable;
  bool known = sched_getaffinity(0, sizeof usable, &usable) == 0;
  atomic_store(&processors, known ? (unsigned)CPU_COUNT(&usable) : 1);
}

void memory_forget_parent(void)
{
  atomic_store(&spinning, 0);
}

unsigned char *memory_map(int fd)
{
  unsigned char *memory = mmap(NULL, GROUP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return NULL;
  if (madvise(memory, GROUP_BYTES, MADV_DONTFORK) == 0) return memory;
  munmap(memory, GROUP_BYTES);
  return NULL;
}

void memory_unmap(unsigned char *memory)
{
  munmap(memory, GROUP_BYTES);
}

static struct shared_channel *shared_of(struct channel *channel)
{
  return shared_channel_at(atomic_load(&channel->connection->memory), channel->index);
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *limit)
{
  return syscall(SYS_futex, word, operation, value, limit, NULL, 0);
}

void memory_wake(struct channel *channel)
{
  futex(&shared_of(channel)->engine.turn, FUTEX_WAKE, 1, NULL);
}

static bool spin(const uint32_t *turn, uint32_t awaited)
{
  for (long long until = 0;;) {
    for (int i = 0; i < LOOKS; i++) {
      if (shared_read(turn) == awaited) return true;
      shared_pause();
    }
    long long now = now_ns();
    if (until == 0) until = now + SPIN_NS;
    if (now >= until) return false;
  }
}

static bool yielding_is_quick(void)
{
  return now_ns() >= atomic_load(&yielding.not_before);
}

static void note_long_yield(long long began, long long now)
{
  long long pause = atomic_load(&yielding.pause);
  bool again = began < atomic_load(&yielding.not_before) + pause;
  pause = again ? 2 * pause : FIRST_PAUSE_NS;
  if (pause > LONGEST_PAUSE_NS) pause = LONGEST_PAUSE_NS;
  atomic_store(&yielding.pause, pause);
  atomic_store(&yielding.not_before, now + pause);
}

/* The same for who has no processor for itself: others go first. */
static bool spin_yielding(const uint32_t *turn, uint32_t awaited)
{
  long long began = now_ns();
  for (long long until = began + YIELDING_NS; shared_read(turn) != awaited;) {
    if (began >= until) return false;
    sched_yield();
    long long now = now_ns();
    if (now - began > LONG_YIELD_NS) note_long_yield(began, now);
    began = now;
  }
  return true;
}

/* Waits without sleeping for a while, if that promises anything. A thread that watches this channel may want this very processor,
 * and does not get it from who only yields: the kernel shares processors out among sessions, or control groups, first. */
static bool spin_if_useful(const uint32_t *turn, uint32_t awaited, unsigned call, unsigned engine, bool watched)
{
  unsigned char left_out = atomic_load_explicit(&spins[call].left_out, memory_order_relaxed);
  if (left_out > 0) {
    atomic_store_explicit(&spins[call].left_out, left_out - 1, memory_order_relaxed);
    return false;
  }
  unsigned char in_vain = atomic_load_explicit(&spins[call].in_vain, memory_order_relaxed);
  unsigned usable = atomic_load(&processors), waiting = atomic_fetch_add(&spinning, 1) + 1;
  bool room = waiting + engine <= usable;
  bool yields = !room && engine > 1 && usable > 1 && !watched && waiting <= usable && yielding_is_quick();
  bool ended = room ? spin(turn, awaited) : yields && spin_yielding(turn, awaited);
  atomic_fetch_sub(&spinning, 1);
  if (ended && in_vain > 0) atomic_store_explicit(&spins[call].in_vain, 0, memory_order_relaxed);
  if ((room || yields) && !ended) {
    if (in_vain < MOST_IN_VAIN) in_vain++;
    atomic_store_explicit(&spins[call].in_vain, in_vain, memory_order_relaxed);
    atomic_store_explicit(&spins[call].left_out, (1U << in_vain) - 1, memory_order_relaxed);
  }
  return ended;
}

/* Until the engine's turn has ended, the engine or the connection is gone, or the time is over. */
static enum exchange_result sleep_watched(struct channel *channel, struct shared_channel *shared,
                                          uint32_t awaited, long long deadline_ns)
{
  const struct timespec slice = {0, LOOK_NS};
  struct connection *connection = channel->connection;
  long long look_at = now_ns() + LOOK_NS;
  for (bool lost = false;;) {
    /* Before the turn is read: the engine ends its turn and then reads this. */
    shared_write(&shared->waiting, 1);
    uint32_t turn = shared_read(&shared->engine.turn);
    if (turn == awaited) return EXCHANGED;
    if (turn != awaited - 1) return EXCHANGE_GARBLED;
    if (lost || atomic_load(&connection->hung_up)) return EXCHANGE_LOST;
    if (now_ns() > deadline_ns) return EXCHANGE_LATE;
    futex(&shared->engine.turn, FUTEX_WAIT, turn, &slice);
    /* By the clock, not by how the sleep ended: signals may interrupt each one. */
    if (now_ns() < look_at) continue;
    look_at = now_ns() + LOOK_NS;
    /* What the engine had answered before it ended is read once more. */
    lost = socket_state(atomic_load(&connection->socket)) != CHANNEL_INTACT;
  }
}

static enum exchange_result sleep_until(struct channel *channel, struct shared_channel *shared,
                                        uint32_t awaited, long long deadline_ns)
{
  enum exchange_result result = sleep_watched(channel, shared, awaited, deadline_ns);
  shared_write(&shared->waiting, 0);
  return result;
}

static void ring_bell(struct shared_channel *shared)
{
  shared_write(&shared->bell, 1);
  futex(&shared->bell, FUTEX_WAKE, 1, NULL);
}

/* Hands over what is in the data, and waits for the engine's turn to end. */
static enum exchange_result take_turn(struct channel *channel, struct shared_channel *shared,
                                      long long deadline_ns)
{
  struct connection *connection = channel->connection;
  const struct shared_group *group = (struct shared_group *)(void *)atomic_load(&connection->memory);
  uint32_t turn = ++channel->turn;
  if (shared_read(&shared->watched) != SHARED_UNWATCHED) shared_prepare(&shared->module.processor, (uint32_t)sched_getcpu());
  shared_write(&shared->module.turn, turn);
  uint32_t watch = shared_read(&shared->watched);
  bool watched = watch != SHARED_UNWATCHED;
  if (watch == SHARED_WATCHED_ASLEEP) ring_bell(shared);
  bool asleep = !watched && shared_read(&group->asleep) != 0;
  if (asleep && !socket_ring(atomic_load(&connection->socket))) return EXCHANGE_LOST;
  /* Processors that are left to the engine: the one that looks, and those that it is busy on. */
  unsigned engine = shared_read(&group->busy) + (watched ? 0 : 1);
  /* Waking it takes longer than spinning lasts. The first byte of a request is its call number, or the lower half. */
  if (!asleep && spin_if_useful(&shared->engine.turn, turn, channel->request.bytes[0], engine, watched)) return EXCHANGED;
  return sleep_until(channel, shared, turn, deadline_ns);
}

static enum exchange_result send_request(struct channel *channel, struct shared_channel *shared,
                                         long long deadline_ns)
{
  const struct message *request = &channel->request;
  enum exchange_result result;
  size_t sent = 0;
  channel->stained = shared_part(request->length, 0);
  shared_prepare(&shared->module.length, (uint32_t)request->length);
  do {
    size_t part = shared_part(request->length, sent);
    memcpy(shared->data, request->bytes + sent, part);
    sent += part;
    result = take_turn(channel, shared, deadline_ns);
  } while (result == EXCHANGED && sent < request->length);
  return result;
}

static enum exchange_result receive_answer(struct channel *channel, struct shared_channel *shared,
                                           long long deadline_ns)
{
  struct message *answer = &channel->answer;
  size_t length = shared_read(&shared->engine.length);
  message_start(answer);
  if (length == 0 || length > LIMIT_FRAME_BYTES || !message_reserve(answer, length)) return EXCHANGE_GARBLED;
  if (channel->stained < shared_part(length, 0)) channel->stained = shared_part(length, 0);
  for (;;) {
    size_t part = shared_part(length, answer->length);
    memcpy(answer->bytes + answer->length, shared->data, part);
    answer->length += part;
    if (answer->length == length) return EXCHANGED;
    enum exchange_result result = take_turn(channel, shared, deadline_ns);
    if (result != EXCHANGED) return result;
  }
}

enum exchange_result memory_exchange(struct channel *channel, int limit_ms)
{
  struct shared_channel *shared = shared_of(channel);
  long long deadline_ns = limit_ms == NO_LIMIT ? INT64_MAX : now_ns() + limit_ms * 1000000LL;
  enum exchange_result result = send_request(channel, shared, deadline_ns);
  return result == EXCHANGED ? receive_answer(channel, shared, deadline_ns) : result;
}

void memory_cleanse(struct channel *channel)
{
  cleanse(shared_of(channel)->data, channel->stained);
}

#else /* Without futexes: frames travel over the socket. */

bool memory_possible(void)
{
  return false;
}

void memory_prepare(void)
{
}

void memory_forget_parent(void)
{
}

unsigned char *memory_map(int fd)
{
  (void)fd;
  return NULL;
}

void memory_unmap(unsigned char *memory)
{
  (void)memory;
}

enum exchange_result memory_exchange(struct channel *channel, int limit_ms)
{
  (void)channel;
  (void)limit_ms;
  return EXCHANGE_GARBLED;
}

void memory_cleanse(struct channel *channel)
{
  (void)channel;
}

void memory_wake(struct channel *channel)
{
  (void)channel;
}

#endif
