/* The sockets to the engine, and the memory that may come with each. pool.c's mutex guards who uses which. */
#ifndef CLOUDHSM_LOCAL_CONNECTION_H
#define CLOUDHSM_LOCAL_CONNECTION_H

#include <stdatomic.h>
#include <stdbool.h>

#define CONNECTIONS 256

struct connection {
  /* -1: none. Atomic, and cleared before the close, so that a fork at any moment leaves the child a number
   * that is this socket's or nothing. */
  atomic_int socket;
  atomic_int memory_fd;            /* likewise; only until the memory is mapped */
  _Atomic(unsigned char *) memory; /* shared with the engine; NULL: frames travel on the socket */
  atomic_bool hung_up;
  unsigned channels; /* that use it: with the last one it is closed */
};

/* An unused connection, for a channel. There are as many as channels, so there is one. */
struct connection *connection_take(void);
void connection_use(struct connection *connection);
void connection_drop(struct connection *connection);
/* Makes an unused connection one that can be opened. */
void connection_prepare(struct connection *connection);
void connection_close(struct connection *connection);
void connection_close_memory_fd(struct connection *connection);
/* In a forked child: closes all, and leaves alone the memory, which the child does not have. */
void connections_forget_parent(void);

#endif
