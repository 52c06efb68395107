/* Frames over a Unix socket: u32 length, little endian, then the bytes. */
#ifndef CLOUDHSM_LOCAL_CHANNEL_SOCKET_H
#define CLOUDHSM_LOCAL_CHANNEL_SOCKET_H

#include "channel.h"

/* Connects within `limit_ms`. The descriptor, or -1 with why. */
int socket_connect(const char *path, int limit_ms, struct opening *opening);
bool socket_send(int fd, const struct message *request);
/* Receives one frame. `descriptor`: where a descriptor that comes along is kept; NULL where none may. */
enum exchange_result socket_receive(int fd, struct message *answer, int limit_ms, atomic_int *descriptor);
/* Wakes the engine that sleeps; false where it is gone. */
bool socket_ring(int fd);
/* What a connection is good for on which nothing should be on its way. */
enum channel_state socket_state(int fd);

#endif
