/* The memory that the engine shares with a program: what the module (C) and the addon (C++) agree on.
 *
 *   group, one per connection      page 0    struct shared_group: is the engine asleep, how busy is it?
 *                                  page 1    channel 0, CHANNEL_BYTES
 *                                  page 17   channel 1
 *                                  ...
 *
 *   channel, one call at a time    line 0    the module's words: turn, length of the request, where it runs
 *                                  line 1    the engine's words: turn, length of the answer
 *                                  line 2    waiting: the module sleeps on the engine's turn; watched: a thread of the engine
 *                                            looks here, or sleeps on the bell
 *                                  line 3..  data: what is handed over
 *
 * The two sides take turns, and the data belongs to the side whose turn it is. The module's n-th turn ends when it
 * writes n to its turn, the engine's when it writes n to its own. A frame larger than the data goes over in several
 * turns; how much is in each follows from the frame's length:
 *
 *   module   length, first part ──►           part 2 ──►        ...        nothing ──►           nothing ──►
 *   engine                       ◄── nothing         ◄── length, first part        ◄── part 2
 *
 * Neither side trusts what it finds here: each keeps its own count and its own position, reads a length once, and
 * copies the data out before it looks at it. */
#ifndef CLOUDHSM_LOCAL_CHANNEL_LAYOUT_H
#define CLOUDHSM_LOCAL_CHANNEL_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

/* To be raised with every change here: a module of another version gets no shared memory and uses the socket. */
#define CHANNEL_LAYOUT_VERSION 4
#define CACHE_LINE_BYTES 64
#define GROUP_HEADER_BYTES 4096 /* so that a channel's short frames are all in one page */
#define CHANNEL_BYTES 65536
#define CHANNEL_DATA_BYTES (CHANNEL_BYTES - 3 * CACHE_LINE_BYTES)
#define GROUP_CHANNELS 16
#define GROUP_BYTES (GROUP_HEADER_BYTES + GROUP_CHANNELS * CHANNEL_BYTES)

struct shared_group {
  /* Not 0: nobody looks at the channels until a byte arrives on the connection. */
  uint32_t asleep;
  /* How many processors the engine uses beside the one that looks: who spins leaves them to it. */
  uint32_t busy;
};

struct shared_words {
  uint32_t turn;
  uint32_t length;
  /* The module's: the number of the processor that it calls on, where its channel is watched. */
  uint32_t processor;
  uint32_t unused[CACHE_LINE_BYTES / 4 - 3];
};

struct shared_channel {
  struct shared_words module;
  struct shared_words engine; /* its turn is what the module waits for: a futex */
  uint32_t waiting;
  /* Whether a thread of the engine, one of those that it says to be busy, sees to this channel: enum shared_watch. */
  uint32_t watched;
  /* That thread sleeps on it, a futex, while it is 0. */
  uint32_t bell;
  uint32_t unused[CACHE_LINE_BYTES / 4 - 3];
  unsigned char data[CHANNEL_DATA_BYTES];
};

enum shared_watch {
  SHARED_UNWATCHED,
  SHARED_WATCHED,
  SHARED_WATCHED_ASLEEP, /* who ends a turn rings the bell */
};

#ifdef __cplusplus
static_assert(sizeof(struct shared_channel) == CHANNEL_BYTES, "a channel has its size");
#else
_Static_assert(sizeof(struct shared_channel) == CHANNEL_BYTES, "a channel has its size");
#endif

static inline struct shared_channel *shared_channel_at(unsigned char *group, unsigned index)
{
  return (struct shared_channel *)(void *)(group + GROUP_HEADER_BYTES + (size_t)index * CHANNEL_BYTES);
}

/* Words that the other side writes too. Sequentially consistent, because sleeping takes it on both sides: "I write
 * that I sleep, then look once more for work" against "I write that there is work, then look whether you sleep". */
static inline uint32_t shared_read(const uint32_t *word)
{
  return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline void shared_write(uint32_t *word, uint32_t value)
{
  __atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

/* A word that goes over with the data, when the turn ends. */
static inline void shared_prepare(uint32_t *word, uint32_t value)
{
  __atomic_store_n(word, value, __ATOMIC_RELAXED);
}

/* How much of a frame the next turn hands over. */
static inline size_t shared_part(size_t length, size_t done)
{
  return length - done < CHANNEL_DATA_BYTES ? length - done : CHANNEL_DATA_BYTES;
}

/* For loops that wait for the other side: gives the core's other thread the execution units. */
static inline void shared_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
  __asm__ volatile("yield");
#endif
}

#endif
