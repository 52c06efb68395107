#define _POSIX_C_SOURCE 200809L
/* Connections, and what carries a channel's frames. */
#include "channel.h"

#include <stddef.h>
#include <sys/socket.h>

#include "channel_memory.h"
#include "channel_socket.h"
#include "clock.h"
#include "handshake.h"

#define HANDSHAKE_LIMIT_MS 5000
/* An engine that answered a call which began less than this ago is not asked whether it lives: that would cost a system
 * call. */
#define FRESH_NS 200000

static bool in_memory(const struct channel *channel)
{
  return atomic_load(&channel->connection->memory) != NULL;
}

struct message *channel_request(struct channel *channel)
{
  message_start(&channel->answer);
  message_start(&channel->request);
  return &channel->request;
}

static enum exchange_result exchange_on_socket(struct channel *channel, int limit_ms, atomic_int *descriptor)
{
  int fd = atomic_load(&channel->connection->socket);
  if (!socket_send(fd, &channel->request)) return EXCHANGE_LOST;
  return socket_receive(fd, &channel->answer, limit_ms, descriptor);
}

enum exchange_result channel_exchange(struct channel *channel, int limit_ms)
{
  if (!in_memory(channel)) return exchange_on_socket(channel, limit_ms, NULL);
  enum exchange_result result = memory_exchange(channel, limit_ms);
  if (result == EXCHANGED) channel->answered_ns = channel->begun_ns;
  return result;
}

struct message *channel_answer(struct channel *channel)
{
  return &channel->answer;
}

void channel_cleanse(struct channel *channel)
{
  message_cleanse(&channel->request);
  message_cleanse(&channel->answer);
  if (in_memory(channel)) memory_cleanse(channel);
}

enum channel_state channel_check(struct channel *channel)
{
  if (in_memory(channel)) {
    channel->begun_ns = now_ns();
    if (channel->begun_ns - channel->answered_ns < FRESH_NS) return CHANNEL_INTACT;
  }
  return socket_state(atomic_load(&channel->connection->socket));
}

void channel_hang_up(struct channel *channel)
{
  struct connection *connection = channel->connection;
  atomic_store(&connection->hung_up, true);
  int fd = atomic_load(&connection->socket);
  if (fd >= 0) shutdown(fd, SHUT_RDWR);
  if (in_memory(channel)) memory_wake(channel);
}

/* Asks for shared memory. False: the connection is of no use any more. */
static bool share_memory(struct channel *channel, struct opening *opening)
{
  struct connection *connection = channel->connection;
  put_share(channel_request(channel));
  if (exchange_on_socket(channel, HANDSHAKE_LIMIT_MS, &connection->memory_fd) != EXCHANGED) return false;
  if (!take_offer(&channel->answer, &opening->channels)) return false;
  if (opening->channels == 0) {
    opening->channels = 1;
    return true;
  }
  int fd = atomic_load(&connection->memory_fd);
  unsigned char *memory = fd >= 0 ? memory_map(fd) : NULL;
  connection_close_memory_fd(connection);
  atomic_store(&connection->memory, memory);
  return memory != NULL;
}

static void open_once(struct channel *channel, const char *path, const unsigned char token[TOKEN_BYTES],
                      bool share, struct opening *opening)
{
  *opening = (struct opening){.channels = 1};
  connection_prepare(channel->connection);
  int fd = socket_connect(path, HANDSHAKE_LIMIT_MS, opening);
  if (fd < 0) return;
  atomic_store(&channel->connection->socket, fd);
  put_hello(channel_request(channel), token);
  bool answered = exchange_on_socket(channel, HANDSHAKE_LIMIT_MS, NULL) == EXCHANGED;
  if (!answered || !take_welcome(&channel->answer, opening)) {
    opening->result = OPENING_UNREACHABLE;
  } else if (opening->status != HANDSHAKE_ACCEPTED) {
    opening->result = OPENING_REFUSED;
  } else {
    opening->result = OPENING_ACCEPTED;
    if (share && !share_memory(channel, opening)) opening->result = OPENING_NO_MEMORY;
  }
  if (opening->result != OPENING_ACCEPTED) connection_close(channel->connection);
}

void channel_open(struct channel *channel, const char *path, const unsigned char token[TOKEN_BYTES],
                  bool share, struct opening *opening)
{
  open_once(channel, path, token, share && memory_possible(), opening);
  /* Where the memory cannot be had, there is still the socket. */
  if (opening->result == OPENING_NO_MEMORY) open_once(channel, path, token, false, opening);
}
