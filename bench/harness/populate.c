#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "keys.h"

#define PROGRESS_US 250000

static struct {
  unsigned long to;
  atomic_ulong next, made;
} population;

static void *make_keys(void *unused)
{
  CK_SESSION_HANDLE session = open_session();
  char label[LABEL_ROOM];
  for (;;) {
    unsigned long number = atomic_fetch_add(&population.next, 1);
    if (number >= population.to) return unused;
    population_label(label, number);
    generate_aes(session, label, true);
    atomic_fetch_add(&population.made, 1);
  }
}

void populate(unsigned long from, unsigned long to, unsigned threads)
{
  population.to = to;
  atomic_store(&population.next, from);
  atomic_store(&population.made, from);
  pthread_t *makers = calloc(threads, sizeof *makers);
  if (makers == NULL) fail("no memory");
  for (unsigned i = 0; i < threads; i++) {
    if (pthread_create(&makers[i], NULL, make_keys, NULL) != 0) fail("no thread");
  }
  while (atomic_load(&population.made) < to) {
    usleep(PROGRESS_US);
    printf("{\"populated\":%lu}\n", atomic_load(&population.made));
    fflush(stdout);
  }
  for (unsigned i = 0; i < threads; i++) pthread_join(makers[i], NULL);
  free(makers);
}
