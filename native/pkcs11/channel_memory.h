/* Frames in memory that the engine shares. (native/shared/channel-layout.h) */
#ifndef CLOUDHSM_LOCAL_CHANNEL_MEMORY_H
#define CLOUDHSM_LOCAL_CHANNEL_MEMORY_H

#include "channel.h"

/* Whether this machine can share memory. */
bool memory_possible(void);
/* Counts the processors this process may use: with one, waiting means sleeping. */
void memory_prepare(void);
/* In a forked child: the parent's threads, which may be waiting, are not there. */
void memory_forget_parent(void);
/* Maps the memory of a group, which a forked child does not get; NULL where that cannot be done. */
unsigned char *memory_map(int fd);
void memory_unmap(unsigned char *memory);
enum exchange_result memory_exchange(struct channel *channel, int limit_ms);
/* Overwrites what the last call left in the memory. */
void memory_cleanse(struct channel *channel);
/* Has a waiting call look whether its connection was hung up. */
void memory_wake(struct channel *channel);

#endif
