/* One way to the engine, on which one call at a time travels: a connection of its own, or one of the channels in the
 * memory that goes with a connection. */
#ifndef CLOUDHSM_LOCAL_CHANNEL_H
#define CLOUDHSM_LOCAL_CHANNEL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "connection.h"
#include "generated/calls.h"
#include "message.h"

#define NO_LIMIT (-1)

enum channel_use { CHANNEL_UNUSED, CHANNEL_IDLE, CHANNEL_BUSY };

struct channel {
  struct connection *connection;
  unsigned index; /* in the connection's memory */
  enum channel_use use;
  pthread_t caller; /* whose it was last */
  unsigned generation; /* of the application it belongs to (pool.c) */
  uint32_t turn;       /* in memory: the last one that this side ended */
  size_t stained;      /* in memory: how much of the data the last call used */
  /* In memory: when the call under way began, and when the last one that was answered did. */
  long long begun_ns, answered_ns;
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
  OPENING_NO_MEMORY,    /* only inside channel_open */
};

/* What became of channel_open, with what a person needs to know. */
struct opening {
  enum opening_result result;
  int error;       /* errno; 0 where the engine hung up or did not answer */
  unsigned status; /* OPENING_REFUSED: a handshake_status */
  unsigned channels; /* OPENING_ACCEPTED: how many the connection has, the one that was opened included */
  unsigned char token[TOKEN_BYTES];
  char text[400]; /* the engine's */
};

enum exchange_result {
  EXCHANGED,
  EXCHANGE_LOST,    /* the engine is gone */
  EXCHANGE_GARBLED, /* what it sent is no frame */
  EXCHANGE_LATE,    /* the limit passed */
};

/* Connects the channel's connection and shakes hands. `token` zeros: as a new application; otherwise joins that
 * one. `share`: in shared memory, if the engine has any to share. */
void channel_open(struct channel *channel, const char *path, const unsigned char token[TOKEN_BYTES],
                  bool share, struct opening *opening);
/* The empty request to fill in. */
struct message *channel_request(struct channel *channel);
/* Sends the request and waits for the answer, for `limit_ms` or as long as the engine lives. */
enum exchange_result channel_exchange(struct channel *channel, int limit_ms);
struct message *channel_answer(struct channel *channel);
/* Overwrites what the last call left in the buffers. */
void channel_cleanse(struct channel *channel);
/* A call begins on a channel that was idle: whether the engine is still there. */
enum channel_state channel_check(struct channel *channel);
/* Makes a call that waits on this channel return, from another thread. */
void channel_hang_up(struct channel *channel);

#endif
