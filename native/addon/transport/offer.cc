#include "offer.h"

#ifdef __linux__

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "../../shared/channel-layout.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // Linux 6.3, which complains in its log about memory without it
#endif

namespace transport {

namespace {

// Sealed: a module that could make it smaller could kill us by it, with SIGBUS.
int sealedMemory() {
  const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  int fd = memfd_create("cloudhsm-local", flags | MFD_NOEXEC_SEAL);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("cloudhsm-local", flags);
  if (fd < 0) return -1;
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (ftruncate(fd, GROUP_BYTES) == 0 && fcntl(fd, F_ADD_SEALS, seals) == 0) return fd;
  close(fd);
  return -1;
}

}  // namespace

uint8_t* shareableMemory(int* descriptor) {
  *descriptor = sealedMemory();
  if (*descriptor < 0) return nullptr;
  void* memory = mmap(nullptr, GROUP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, *descriptor, 0);
  if (memory == MAP_FAILED) {
    close(*descriptor);
    return nullptr;
  }
  // Neither a core dump nor a forked child has a use for it.
  madvise(memory, GROUP_BYTES, MADV_DONTDUMP);
  madvise(memory, GROUP_BYTES, MADV_DONTFORK);
  return static_cast<uint8_t*>(memory);
}

bool sendWithDescriptor(int socket, const uint8_t* bytes, size_t length, int descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{const_cast<uint8_t*>(bytes), length};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  ssize_t sent;
  do {
    sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  return sent == static_cast<ssize_t>(length);
}

void wakeSleeper(uint32_t* word) { syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }

void sleepOn(uint32_t* word, uint32_t value, uint64_t mostNs) {
  const timespec most{static_cast<time_t>(mostNs / 1'000'000'000), static_cast<long>(mostNs % 1'000'000'000)};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &most, nullptr, 0);
}

}  // namespace transport

#else  // macOS has neither memfd nor futex: frames travel over the socket there.

namespace transport {

uint8_t* shareableMemory(int* descriptor) {
  *descriptor = -1;
  return nullptr;
}

bool sendWithDescriptor(int, const uint8_t*, size_t, int) { return false; }

void wakeSleeper(uint32_t*) {}

void sleepOn(uint32_t*, uint32_t, uint64_t) {}

}  // namespace transport

#endif
