/* The connections of this process, which are one application to the engine. */
#ifndef CLOUDHSM_LOCAL_POOL_H
#define CLOUDHSM_LOCAL_POOL_H

#include "channel.h"

enum pool_result {
  POOL_TAKEN,
  POOL_CLOSED,      /* C_Finalize was called */
  POOL_UNREACHABLE, /* no engine, and with it went every session */
  POOL_EXHAUSTED,   /* this process has no descriptor or memory for a channel */
};

/* Connects as a new application. Where the engine cannot be reached `opening` says why. */
bool pool_start(const char *path, struct opening *opening);
/* A channel for one call, with an engine that was there a moment ago. A `patient` caller waits where all
 * channels are busy, and has a lost engine looked for again: this process is then a new application to it. */
enum pool_result pool_take(struct channel **taken, bool patient);
void pool_give_back(struct channel *channel, enum channel_state state);
/* Closes every channel; calls that wait for an answer return. */
void pool_stop(void);
/* In a forked child: drops what belongs to the parent without a word to the engine. */
void pool_forget_parent(void);

#endif
