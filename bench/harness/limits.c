/* What the machine allows, without any PKCS#11:
 *
 *   limits sync FOLDER SECONDS             one page written and synced, as a store must for one durable key
 *   limits socket SECONDS                  a round trip to another process over a Unix socket
 *   limits shared-memory SECONDS           the same through shared memory, both sides spinning
 *
 * One JSON line. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "histogram.h"

#define PAGE_BYTES 4096
#define FILE_PAGES 256
#define MESSAGE_BYTES 64
#define SPINS_BEFORE_YIELD 200

static _Noreturn void fail(const char *what)
{
  perror(what);
  exit(1);
}

static void repeat(double seconds, void (*step)(void *), void *context)
{
  static struct histogram latencies;
  for (int i = 0; i < 20; i++) step(context);
  uint64_t begin = now_ns(), before = begin, deadline = begin + (uint64_t)(seconds * 1e9);
  while (before < deadline) {
    step(context);
    uint64_t now = now_ns();
    histogram_add(&latencies, now - before);
    before = now;
  }
  double elapsed = (double)(before - begin) / 1e9;
  printf("{\"operations\":%llu,\"seconds\":%.6f,\"opsPerSecond\":%.3f,\"p50Us\":%.3f,\"p99Us\":%.3f}\n",
         (unsigned long long)latencies.count, elapsed, (double)latencies.count / elapsed,
         histogram_us(&latencies, 0.5), histogram_us(&latencies, 0.99));
}

struct synced {
  int fd;
  unsigned page;
  char bytes[PAGE_BYTES];
};

static void sync_page(void *context)
{
  struct synced *file = context;
  file->bytes[0]++;
  if (pwrite(file->fd, file->bytes, PAGE_BYTES, (off_t)(file->page++ % FILE_PAGES) * PAGE_BYTES) != PAGE_BYTES)
    fail("pwrite");
  if (fdatasync(file->fd) != 0) fail("fdatasync");
}

/* The file has its length before, so only data is synced. */
static void limit_sync(const char *folder, double seconds)
{
  static struct synced file;
  char path[PAGE_BYTES];
  snprintf(path, sizeof path, "%s/sync-XXXXXX", folder);
  file.fd = mkstemp(path);
  if (file.fd < 0) fail(path);
  unlink(path);
  for (unsigned i = 0; i < FILE_PAGES; i++) {
    if (write(file.fd, file.bytes, PAGE_BYTES) != PAGE_BYTES) fail("write");
  }
  if (fsync(file.fd) != 0) fail("fsync");
  repeat(seconds, sync_page, &file);
}

static void transfer(int fd, char *message)
{
  if (write(fd, message, MESSAGE_BYTES) != MESSAGE_BYTES) fail("write");
  if (read(fd, message, MESSAGE_BYTES) != MESSAGE_BYTES) fail("read");
}

static void ask_socket(void *context)
{
  char message[MESSAGE_BYTES] = {1};
  transfer(*(int *)context, message);
}

static void limit_socket(double seconds)
{
  int ends[2];
  char message[MESSAGE_BYTES];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) fail("socketpair");
  fflush(stdout);
  if (fork() == 0) {
    close(ends[0]);
    while (read(ends[1], message, MESSAGE_BYTES) == MESSAGE_BYTES) {
      if (write(ends[1], message, MESSAGE_BYTES) != MESSAGE_BYTES) break;
    }
    _exit(0);
  }
  close(ends[1]);
  repeat(seconds, ask_socket, &ends[0]);
  close(ends[0]);
  wait(NULL);
}

struct channel {
  _Alignas(64) atomic_uint request;
  _Alignas(64) atomic_uint answer;
  _Alignas(64) unsigned char message[MESSAGE_BYTES];
};

/* With more runnable threads than CPUs a spinning side must let the other run. */
static void await(atomic_uint *word, unsigned value)
{
  for (unsigned spins = 1; atomic_load_explicit(word, memory_order_acquire) != value; spins++) {
    if (spins % SPINS_BEFORE_YIELD == 0) sched_yield();
  }
}

static void ask_memory(void *context)
{
  struct channel *channel = context;
  unsigned number = atomic_load_explicit(&channel->request, memory_order_relaxed) + 1;
  memset(channel->message, (int)number & 0x7f, MESSAGE_BYTES);
  atomic_store_explicit(&channel->request, number, memory_order_release);
  await(&channel->answer, number);
}

static void limit_shared_memory(double seconds)
{
  struct channel *channel =
      mmap(NULL, sizeof *channel, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (channel == MAP_FAILED) fail("mmap");
  pid_t child = fork();
  if (child == 0) {
    for (unsigned number = 1;; number++) {
      await(&channel->request, number);
      for (unsigned i = 0; i < MESSAGE_BYTES; i++) channel->message[i] ^= 0x55;
      atomic_store_explicit(&channel->answer, number, memory_order_release);
    }
  }
  repeat(seconds, ask_memory, channel);
  kill(child, SIGKILL);
  wait(NULL);
}

int main(int count, char **words)
{
  if (count == 4 && strcmp(words[1], "sync") == 0) limit_sync(words[2], atof(words[3]));
  else if (count == 3 && strcmp(words[1], "socket") == 0) limit_socket(atof(words[2]));
  else if (count == 3 && strcmp(words[1], "shared-memory") == 0) limit_shared_memory(atof(words[2]));
  else {
    fprintf(stderr, "usage: limits sync FOLDER SECONDS | socket SECONDS | shared-memory SECONDS\n");
    return 2;
  }
  return 0;
}
