/* One connection to the engine, on which one call at a time travels. */
#ifndef CLOUDHSM_LOCAL_CHANNEL_H
#define CLOUDHSM_LOCAL_CHANNEL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "generated/calls.h"
#include "message.h"

#define NO_LIMIT (-1)

enum channel_use { CHANNEL_UNUSED, CHANNEL_IDLE, CHANNEL_BUSY };

struct channel {
  /* -1: none. Atomic, and cleared before the close, so that a fork at any moment leaves the child a number
   * that is this socket's or nothing. */
  atomic_int socket;
  enum channel_use use;
  unsigned generation; /* of the application it belongs to (pool.c) */
  struct message request;
  struct message answer;
};

/* What a channel is good for after a call. */
enum channel_state {
  CHANNEL_INTACT,
  CHANNEL_SPOILT, /* not to be used again */
  CHANNEL_LOST,   /* the engine is gone: nor is any other */
};

enum opening_result {
  OPENING_ACCEPTED,
  OPENING_UNREACHABLE,
  OPENING_NO_RESOURCES, /* of this process: descriptors, memory */
  OPENING_REFUSED,      /* the engine's welcome says so */
};

/* What became of channel_open, with what a person needs to know. */
struct opening {
  enum opening_result result;
  int error;       /* errno; 0 where the engine hung up or did not answer */
  unsigned status; /* OPENING_REFUSED: a handshake_status */
  unsigned char token[TOKEN_BYTES];
  char text[200]; /* the engine's */
};

enum exchange_result {
  EXCHANGED,
  EXCHANGE_LOST,    /* the engine is gone */
  EXCHANGE_GARBLED, /* what it sent is no frame */
  EXCHANGE_LATE,    /* the limit passed */
};

/* Connects and shakes hands. `token` zeros: as a new application; otherwise joins that one. */
void channel_open(struct channel *channel, const char *path, const unsigned char token[TOKEN_BYTES],
                  struct opening *opening);
/* The empty request to fill in. */
struct message *channel_request(struct channel *channel);
/* Sends the request and waits for the answer, for `limit_ms` or as long as the engine lives. */
enum exchange_result channel_exchange(struct channel *channel, int limit_ms);
struct message *channel_answer(struct channel *channel);
/* Overwrites what the last call left in the buffers. */
void channel_cleanse(struct channel *channel);
/* Whether the engine is still there, asked before anything is sent on a channel that was idle. */
enum channel_state channel_check(struct channel *channel);
/* Makes a call that waits on this channel return, from another thread. */
void channel_hang_up(struct channel *channel);
void channel_close(struct channel *channel);

#endif
