#define _GNU_SOURCE /* SOCK_CLOEXEC, MSG_CMSG_CLOEXEC */
#include "channel_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"

#ifdef __APPLE__
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE instead */
#define MSG_CMSG_CLOEXEC 0
#endif

#define PREFIX_BYTES 4

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

int socket_connect(const char *path, int limit_ms, struct opening *opening)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = new_socket();
  if (fd < 0) {
    opening->error = errno;
    opening->result = OPENING_NO_RESOURCES;
    return -1;
  }
  strncpy(address.sun_path, path, sizeof address.sun_path - 1); /* locate.c saw to its length */
  limit_sending(fd, limit_ms);
  int connected;
  do connected = connect(fd, (const struct sockaddr *)&address, sizeof address);
  while (connected != 0 && errno == EINTR);
  if (connected != 0) {
    opening->error = errno;
    opening->result = OPENING_UNREACHABLE;
    close(fd);
    return -1;
  }
  limit_sending(fd, 0);
  return fd;
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

bool socket_send(int fd, const struct message *request)
{
  unsigned char prefix[PREFIX_BYTES];
  for (int i = 0; i < PREFIX_BYTES; i++) prefix[i] = (unsigned char)(request->length >> (8 * i));
  struct iovec parts[] = {{prefix, PREFIX_BYTES}, {request->bytes, request->length}};
  return send_all(fd, parts, 2);
}

/* Keeps the descriptor that came along, if one did and is wanted. */
static void keep_descriptor(struct msghdr *header, atomic_int *descriptor)
{
  int received;
  struct cmsghdr *control = header->msg_controllen > 0 ? CMSG_FIRSTHDR(header) : NULL;
  if (control == NULL || control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) return;
  if (control->cmsg_len != CMSG_LEN(sizeof received)) return;
  memcpy(&received, CMSG_DATA(control), sizeof received);
#ifdef __APPLE__
  fcntl(received, F_SETFD, FD_CLOEXEC);
#endif
  int former = atomic_exchange(descriptor, received);
  if (former >= 0) close(former);
}

/* Receives into what the prefix still lacks and behind what the answer has: one system call if short. */
static ssize_t receive_more(int fd, unsigned char *prefix, size_t received, struct message *answer,
                            atomic_int *descriptor)
{
  size_t missing = received < PREFIX_BYTES ? PREFIX_BYTES - received : 0;
  struct iovec parts[] = {{prefix + PREFIX_BYTES - missing, missing},
                          {answer->bytes + answer->length, answer->capacity - answer->length}};
  union {
    struct cmsghdr aligned;
    unsigned char bytes[CMSG_SPACE(sizeof(int))];
  } control;
  ssize_t got;
  struct msghdr header;
  do {
    header = (struct msghdr){.msg_iov = parts, .msg_iovlen = 2};
    if (descriptor != NULL) {
      header.msg_control = control.bytes;
      header.msg_controllen = sizeof control.bytes;
    }
    got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got > 0 && descriptor != NULL) keep_descriptor(&header, descriptor);
  return got;
}

enum exchange_result socket_receive(int fd, struct message *answer, int limit_ms, atomic_int *descriptor)
{
  unsigned char prefix[PREFIX_BYTES] = {0};
  long long deadline = limit_ms == NO_LIMIT ? 0 : now_ms() + limit_ms;
  message_start(answer);
  if (!message_reserve(answer, 1)) return EXCHANGE_GARBLED;
  for (size_t received = 0;;) {
    if (limit_ms != NO_LIMIT && !receivable(fd, deadline)) return EXCHANGE_LATE;
    ssize_t got = receive_more(fd, prefix, received, answer, descriptor);
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

bool socket_ring(int fd)
{
  struct iovec byte = {"", 1};
  struct msghdr header = {.msg_iov = &byte, .msg_iovlen = 1};
  ssize_t sent;
  do sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
  while (sent < 0 && errno == EINTR);
  /* A full socket has rung often enough. */
  return sent > 0 || errno == EAGAIN || errno == EWOULDBLOCK;
}

enum channel_state socket_state(int fd)
{
  unsigned char byte;
  ssize_t got;
  do got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got > 0) return CHANNEL_SPOILT; /* an answer nobody waits for */
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK) ? CHANNEL_INTACT : CHANNEL_LOST;
}
