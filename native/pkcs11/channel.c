/* Connections and frames over a Unix socket. A frame: u32 length, little endian, then its bytes. */
#define _GNU_SOURCE /* SOCK_CLOEXEC */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "handshake.h"

#ifdef __APPLE__
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE instead */
#endif

#define PREFIX_BYTES 4
#define HANDSHAKE_LIMIT_MS 5000

static int new_socket(void)
{
#ifdef __APPLE__
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  int on = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
  return fd;
#else
  return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
#endif
}

/* A listener whose queue is full makes connect wait: SO_SNDTIMEO bounds it. (unix(7), socket(7)) */
static void limit_sending(int fd, int limit_ms)
{
  struct timeval limit = {limit_ms / 1000, (limit_ms % 1000) * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static enum opening_result connect_to(struct channel *channel, const char *path, int *error)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = new_socket();
  if (fd < 0) {
    *error = errno;
    return OPENING_NO_RESOURCES;
  }
  strncpy(address.sun_path, path, sizeof address.sun_path - 1); /* locate.c saw to its length */
  limit_sending(fd, HANDSHAKE_LIMIT_MS);
  int connected;
  do connected = connect(fd, (const struct sockaddr *)&address, sizeof address);
  while (connected != 0 && errno == EINTR);
  if (connected != 0) {
    *error = errno;
    close(fd);
    return OPENING_UNREACHABLE;
  }
  limit_sending(fd, 0);
  atomic_store(&channel->socket, fd);
  return OPENING_ACCEPTED;
}

static long long now_ms(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until something can be received, the peer's end included. */
static bool receivable(int fd, long long deadline)
{
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  for (;;) {
    long long left = deadline - now_ms();
    if (left < 0) return false;
    int ready = poll(&wanted, 1, (int)left);
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

static bool send_all(int fd, struct iovec *parts, int count)
{
  while (count > 0) {
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    size_t done = (size_t)sent;
    for (; count > 0 && done >= parts->iov_len; parts++, count--) done -= parts->iov_len;
    if (count > 0) {
      parts->iov_base = (unsigned char *)parts->iov_base + done;
      parts->iov_len -= done;
    }
  }
  return true;
}

static bool send_request(struct channel *channel)
{
  struct message *request = &channel->request;
  unsigned char prefix[PREFIX_BYTES];
  for (int i = 0; i < PREFIX_BYTES; i++) prefix[i] = (unsigned char)(request->length >> (8 * i));
  struct iovec parts[] = {{prefix, PREFIX_BYTES}, {request->bytes, request->length}};
  return send_all(atomic_load(&channel->socket), parts, 2);
}

/* Receives into what the prefix still lacks and behind what the answer has: one system call if short. */
static ssize_t receive_more(int fd, unsigned char *prefix, size_t received, struct message *answer)
{
  size_t missing = received < PREFIX_BYTES ? PREFIX_BYTES - received : 0;
  struct iovec parts[] = {{prefix + PREFIX_BYTES - missing, missing},
                          {answer->bytes + answer->length, answer->capacity - answer->length}};
  struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
  ssize_t got;
  do got = recvmsg(fd, &header, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

static enum exchange_result receive_answer(struct channel *channel, int limit_ms)
{
  struct message *answer = &channel->answer;
  unsigned char prefix[PREFIX_BYTES] = {0};
  long long deadline = limit_ms == NO_LIMIT ? 0 : now_ms() + limit_ms;
  int fd = atomic_load(&channel->socket);
  message_start(answer);
  if (!message_reserve(answer, 1)) return EXCHANGE_GARBLED;
  for (size_t received = 0;;) {
    if (limit_ms != NO_LIMIT && !receivable(fd, deadline)) return EXCHANGE_LATE;
    ssize_t got = receive_more(fd, prefix, received, answer);
    if (got <= 0) return EXCHANGE_LOST;
    received += (size_t)got;
    if (received < PREFIX_BYTES) continue;
    answer->length = received - PREFIX_BYTES;
    size_t expected = 0;
    for (int i = 0; i < PREFIX_BYTES; i++) expected |= (size_t)prefix[i] << (8 * i);
    /* Nothing but this answer is under way: more than it has is garbage. */
    if (expected > LIMIT_FRAME_BYTES || answer->length > expected) return EXCHANGE_GARBLED;
    if (answer->length == expected) return EXCHANGED;
    if (!message_reserve(answer, expected)) return EXCHANGE_GARBLED;
  }
}

struct message *channel_request(struct channel *channel)
{
  message_start(&channel->answer);
  message_start(&channel->request);
  return &channel->request;
}

enum exchange_result channel_exchange(struct channel *channel, int limit_ms)
{
  if (!send_request(channel)) return EXCHANGE_LOST;
  return receive_answer(channel, limit_ms);
}

struct message *channel_answer(struct channel *channel)
{
  return &channel->answer;
}

void channel_cleanse(struct channel *channel)
{
  message_cleanse(&channel->request);
  message_cleanse(&channel->answer);
}

enum channel_state channel_check(struct channel *channel)
{
  unsigned char byte;
  ssize_t got;
  do got = recv(atomic_load(&channel->socket), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got > 0) return CHANNEL_SPOILT; /* an answer nobody waits for */
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? CHANNEL_INTACT : CHANNEL_LOST;
}

void channel_hang_up(struct channel *channel)
{
  int fd = atomic_load(&channel->socket);
  if (fd >= 0) shutdown(fd, SHUT_RDWR);
}

void channel_close(struct channel *channel)
{
  int fd = atomic_exchange(&channel->socket, -1);
  if (fd >= 0) close(fd);
}

void channel_open(struct channel *channel, const char *path, const unsigned char token[TOKEN_BYTES],
                  struct opening *opening)
{
  *opening = (struct opening){0};
  opening->result = connect_to(channel, path, &opening->error);
  if (opening->result != OPENING_ACCEPTED) return;
  put_hello(channel_request(channel), token);
  bool answered = channel_exchange(channel, HANDSHAKE_LIMIT_MS) == EXCHANGED;
  if (!answered || !take_welcome(&channel->answer, opening)) {
    opening->result = OPENING_UNREACHABLE;
  } else if (opening->status != HANDSHAKE_ACCEPTED) {
    opening->result = OPENING_REFUSED;
  }
  if (opening->result != OPENING_ACCEPTED) channel_close(channel);
}
