#include "connection.h"

#include <stddef.h>
#include <unistd.h>

#include "channel_memory.h"

static struct connection connections[CONNECTIONS];
/* Connections from this one on have never been used. Atomic: a forked child finds those below it prepared. */
static atomic_uint touched;

void connection_prepare(struct connection *connection)
{
  atomic_store(&connection->socket, -1);
  atomic_store(&connection->memory_fd, -1);
  atomic_store(&connection->memory, NULL);
  atomic_store(&connection->hung_up, false);
}

static void close_descriptor(atomic_int *descriptor)
{
  int fd = atomic_exchange(descriptor, -1);
  if (fd >= 0) close(fd);
}

void connection_close_memory_fd(struct connection *connection)
{
  close_descriptor(&connection->memory_fd);
}

void connection_close(struct connection *connection)
{
  unsigned char *memory = atomic_exchange(&connection->memory, NULL);
  if (memory != NULL) memory_unmap(memory);
  close_descriptor(&connection->memory_fd);
  close_descriptor(&connection->socket);
}

void connection_use(struct connection *connection)
{
  connection->channels++;
}

void connection_drop(struct connection *connection)
{
  if (--connection->channels == 0) connection_close(connection);
}

struct connection *connection_take(void)
{
  unsigned count = atomic_load(&touched);
  unsigned found = 0;
  while (found < count && connections[found].channels > 0) found++;
  if (found == count) {
    connection_prepare(&connections[found]);
    atomic_store(&touched, count + 1);
  }
  connection_use(&connections[found]);
  return &connections[found];
}

void connections_forget_parent(void)
{
  for (unsigned i = 0; i < atomic_load(&touched); i++) {
    atomic_store(&connections[i].memory, NULL);
    connection_close(&connections[i]);
    connections[i].channels = 0;
  }
}
