/* Time that only goes forward. */
#ifndef CLOUDHSM_LOCAL_CLOCK_H
#define CLOUDHSM_LOCAL_CLOCK_H

#include <time.h>

static inline long long now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline long long now_ms(void)
{
  return now_ns() / 1000000;
}

#endif
