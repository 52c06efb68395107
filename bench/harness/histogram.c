#include "histogram.h"

#include <time.h>

uint64_t now_ns(void)
{
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec;
}

/* Up to 127 a bucket per nanosecond; above, 64 buckets per power of two. */
static unsigned bucket_of(uint64_t ns)
{
  if (ns < 64) return (unsigned)ns;
  unsigned shift = 57U - (unsigned)__builtin_clzll(ns);
  return shift * 64U + (unsigned)(ns >> shift);
}

static double middle_of(unsigned bucket)
{
  if (bucket < 128) return bucket;
  unsigned shift = bucket / 64U - 1U;
  double width = (double)(1ULL << shift);
  return (bucket % 64U + 64U) * width + width / 2;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
  unsigned bucket = bucket_of(ns);
  histogram->count++;
  histogram->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
}

void histogram_merge(struct histogram *sum, const struct histogram *other)
{
  sum->count += other->count;
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) sum->buckets[i] += other->buckets[i];
}

double histogram_us(const struct histogram *histogram, double share)
{
  uint64_t below = (uint64_t)(share * (double)(histogram->count - 1));
  uint64_t seen = 0;
  for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += histogram->buckets[i];
    if (seen > below) return middle_of(i) / 1000;
  }
  return 0;
}
