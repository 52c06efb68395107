/* Latencies in buckets of at most 1.6 % width, from nanoseconds to centuries, without allocation. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (59 * 64)

struct histogram {
  uint64_t count;
  uint64_t buckets[HISTOGRAM_BUCKETS];
};

uint64_t now_ns(void);
void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *sum, const struct histogram *other);
/* The latency in microseconds below which `share` (0..1) of all lie. */
double histogram_us(const struct histogram *histogram, double share);

#endif
