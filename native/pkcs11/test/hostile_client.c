/* A module that breaks the rules of shared memory. Says what the engine did about it.
 *   hostile_client SOCKET TRICK [SEED] */
#define _GNU_SOURCE
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../../shared/channel-layout.h"
#include "../generated/calls.h"

static int engine = -1;
static unsigned char *memory;

static void must(bool good, const char *what)
{
  if (good) return;
  perror(what);
  exit(3);
}

static void send_frame(const void *bytes, uint32_t length)
{
  must(write(engine, &length, 4) == 4 && write(engine, bytes, length) == (ssize_t)length, "write");
}

static void shake_hands(const char *path)
{
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  unsigned char hello[44] = "CHSMP11", welcome[256];
  const uint64_t hash = TABLE_HASH;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  engine = socket(AF_UNIX, SOCK_STREAM, 0);
  must(connect(engine, (struct sockaddr *)&address, sizeof address) == 0, "connect");
  memcpy(hello + 8, &hash, 8);
  hello[36] = 4;
  memcpy(hello + 38, "evil", 4);
  send_frame(hello, sizeof hello);
  must(read(engine, welcome, sizeof welcome) > 8 && welcome[4] == 0, "welcome");
}

static void take_memory(void)
{
  unsigned char share[12] = "CHSMMEM", offer[64], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {offer, sizeof offer};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  int fd;
  share[8] = CHANNEL_LAYOUT_VERSION;
  send_frame(share, sizeof share);
  must(recvmsg(engine, &message, 0) == 16 && message.msg_controllen > 0, "offer");
  memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
  must(ftruncate(fd, 4096) != 0, "the memory can be made smaller");
  memory = mmap(NULL, GROUP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  must(memory != MAP_FAILED, "mmap");
  close(fd);
}

static struct shared_channel *channel(unsigned index)
{
  return shared_channel_at(memory, index);
}

static void ring(unsigned index, uint32_t turn)
{
  shared_write(&channel(index)->module.turn, turn);
  must(send(engine, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1, "ring");
}

/* A request of C_GetInfo, or of C_WaitForSlotEvent, which blocks. */
static void put_call(unsigned index, unsigned char call)
{
  memset(channel(index)->data, 0, 16);
  channel(index)->data[0] = call;
  shared_write(&channel(index)->module.length, call == CALL_C_GetInfo ? 2 : 11);
}

static bool answered(unsigned index, uint32_t turn)
{
  for (int i = 0; i < 2000; i++) {
    if (shared_read(&channel(index)->engine.turn) == turn) return true;
    usleep(1000);
  }
  return false;
}

static void connect_anew(const char *path)
{
  if (memory != NULL) munmap(memory, GROUP_BYTES);
  if (engine >= 0) close(engine);
  shake_hands(path);
  take_memory();
}

/* Each time the engine has had enough of it, it comes back. */
static void scribble(const char *path, unsigned seed)
{
  srandom(seed);
  time_t end = time(NULL) + 2;
  while (time(NULL) < end) {
    for (int i = 0; i < 1000; i++) {
      unsigned index = (unsigned)random() % GROUP_CHANNELS;
      struct shared_channel *to = channel(index);
      /* Mostly what the engine accepts, so that it reads on; the data changes while it does. */
      shared_write(&to->module.length, (unsigned)random() % (random() % 4 == 0 ? 300000 : 200));
      to->data[random() % 64] = (unsigned char)random();
      to->data[1] = 0;
      shared_write(&to->module.turn, shared_read(&to->engine.turn) + 1);
      to->data[random() % 16] = (unsigned char)random();
      shared_write(&to->waiting, (uint32_t)random() & 1);
      if (random() % 8 == 0) shared_write((uint32_t *)(void *)memory, (uint32_t)random() & 1);
      if (random() % 2000 == 0) shared_write(&to->engine.turn, (uint32_t)random());
    }
    if (send(engine, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) connect_anew(path);
  }
}

static void play(const char *path, const char *trick, unsigned seed)
{
  put_call(0, CALL_C_GetInfo);
  ring(0, 1);
  must(answered(0, 1), "a good request");
  if (strcmp(trick, "length") == 0) {
    shared_write(&channel(1)->module.length, LIMIT_FRAME_BYTES + 1);
    ring(1, 1);
  } else if (strcmp(trick, "ahead") == 0) {
    ring(0, 3);
  } else if (strcmp(trick, "back") == 0) {
    ring(0, 0);
  } else if (strcmp(trick, "impatient") == 0) {
    put_call(0, CALL_C_WaitForSlotEvent);
    ring(0, 2);
    usleep(100000);
    ring(0, 3);
  } else if (strcmp(trick, "frame") == 0) {
    put_call(0, 0xff);
    ring(0, 2);
  } else if (strcmp(trick, "unfinished") == 0) {
    shared_write(&channel(2)->module.length, LIMIT_FRAME_BYTES);
    for (uint32_t turn = 1; turn < 20; turn++) {
      ring(2, turn);
      must(answered(2, turn), "a part");
    }
    exit(0);
  } else if (strcmp(trick, "scribble") == 0) {
    scribble(path, seed);
    exit(0);
  }
}

int main(int argc, char **argv)
{
  struct pollfd end = {.events = POLLIN};
  if (argc < 3) return 2;
  connect_anew(argv[1]);
  play(argv[1], argv[2], argc > 3 ? (unsigned)atoi(argv[3]) : 1);
  end.fd = engine;
  bool closed = poll(&end, 1, 5000) == 1 && recv(engine, &end.revents, 1, 0) <= 0;
  printf("%s\n", closed ? "hung up" : "tolerated");
  return 0;
}
