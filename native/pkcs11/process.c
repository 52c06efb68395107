#define _DEFAULT_SOURCE /* madvise */
#include "process.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* In a page that the kernel empties in a forked child, so the parent's number is never read there. */
static _Atomic(atomic_int *) remembered;

#ifdef MADV_WIPEONFORK

#define PAGE_BYTES 4096 /* of a larger page, the part we use */

void process_prepare(void)
{
  if (atomic_load(&remembered) != NULL) return;
  void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return;
  /* An emulator that accepts advice which does not exist (qemu's did) has not taken ours either. */
  bool emptied = madvise(page, PAGE_BYTES, MADV_WIPEONFORK) == 0 && madvise(page, PAGE_BYTES, -1) != 0;
  atomic_int *none = NULL;
  if (!emptied || !atomic_compare_exchange_strong(&remembered, &none, page)) munmap(page, PAGE_BYTES);
}

#else

void process_prepare(void)
{
}

#endif

pid_t process_id(void)
{
  atomic_int *word = atomic_load_explicit(&remembered, memory_order_acquire);
  pid_t id = word == NULL ? 0 : atomic_load_explicit(word, memory_order_relaxed);
  if (id != 0) return id;
  id = getpid();
  if (word != NULL) atomic_store_explicit(word, id, memory_order_relaxed);
  return id;
}
