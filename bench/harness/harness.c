/* Measures one row of work on one PKCS#11 module.
 *
 *   BENCH_PIN=... harness --module FILE --row NAME [--threads N] [--seconds S]
 *   BENCH_PIN=... harness --module FILE --populate FROM TO [--threads N]
 *
 * A row may be a mix, such as aes-gcm-1024+rsa-sign-2048: the threads take its parts in turn, and each part is
 * reported as well. Without --seconds it prepares, prints {"ready":true} and measures for as many
 * seconds as each line of standard input says: so a driver can interleave several modules. One JSON line per
 * measurement. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "rows.h"

#define PARTS 8

struct options {
  const char *module, *row;
  unsigned long from, to;
  unsigned threads;
  double seconds;
};

static struct {
  struct worker *workers;
  unsigned threads;
  const char *parts[PARTS];
  unsigned part_count;
  pthread_barrier_t start;
  uint64_t duration_ns;
} bench;

static struct options parse(int count, char **words)
{
  struct options options = {.threads = 1};
  for (int i = 1; i < count; i++) {
    int left = count - 1 - i;
    if (left >= 1 && strcmp(words[i], "--module") == 0) options.module = words[++i];
    else if (left >= 1 && strcmp(words[i], "--row") == 0) options.row = words[++i];
    else if (left >= 1 && strcmp(words[i], "--threads") == 0) options.threads = (unsigned)atoi(words[++i]);
    else if (left >= 1 && strcmp(words[i], "--seconds") == 0) options.seconds = atof(words[++i]);
    else if (left >= 2 && strcmp(words[i], "--populate") == 0) {
      options.from = strtoul(words[++i], NULL, 10);
      options.to = strtoul(words[++i], NULL, 10);
    } else fail("usage: harness --module FILE (--row NAME | --populate FROM TO) [--threads N] [--seconds S]");
  }
  if (options.module == NULL || (options.row == NULL && options.to == 0)) fail("--module and --row are needed");
  if (options.threads < 1 || options.threads > 512) fail("--threads: 1 to 512");
  return options;
}

/* Repeats the row until its time is over. The end of one operation is the beginning of the next. */
static void *work(void *argument)
{
  struct worker *worker = argument;
  worker->row->run(worker);
  pthread_barrier_wait(&bench.start);
  uint64_t begin = now_ns(), before = begin, deadline = begin + bench.duration_ns;
  while (before < deadline) {
    worker->row->run(worker);
    uint64_t now = now_ns();
    histogram_add(&worker->latencies, now - before);
    before = now;
  }
  worker->elapsed_ns = before - begin;
  return NULL;
}

/* The numbers of every `step`th thread from `first` on. */
static void print_numbers(const char *row, unsigned first, unsigned step)
{
  static struct histogram sum;
  memset(&sum, 0, sizeof sum);
  double rate = 0, seconds = 0;
  for (unsigned i = first; i < bench.threads; i += step) {
    const struct worker *worker = &bench.workers[i];
    double elapsed = (double)worker->elapsed_ns / 1e9;
    histogram_merge(&sum, &worker->latencies);
    rate += (double)worker->latencies.count / elapsed;
    if (elapsed > seconds) seconds = elapsed;
  }
  printf("\"row\":\"%s\",\"operations\":%llu,\"seconds\":%.6f,\"opsPerSecond\":%.3f,"
         "\"p50Us\":%.3f,\"p99Us\":%.3f,\"maxUs\":%.3f",
         row, (unsigned long long)sum.count, seconds, rate, histogram_us(&sum, 0.5), histogram_us(&sum, 0.99),
         histogram_us(&sum, 1));
}

static void print_result(const char *row)
{
  printf("{");
  print_numbers(row, 0, 1);
  printf(",\"threads\":%u,\"parts\":[", bench.threads);
  for (unsigned i = 0; bench.part_count > 1 && i < bench.part_count; i++) {
    printf(i == 0 ? "{" : ",{");
    print_numbers(bench.parts[i], i, bench.part_count);
    printf("}");
  }
  printf("]}\n");
  fflush(stdout);
}

static void measure(const char *row, double seconds)
{
  pthread_t *threads = calloc(bench.threads, sizeof *threads);
  if (threads == NULL) fail("no memory");
  bench.duration_ns = (uint64_t)(seconds * 1e9);
  if (pthread_barrier_init(&bench.start, NULL, bench.threads) != 0) fail("no barrier");
  for (unsigned i = 0; i < bench.threads; i++) {
    memset(&bench.workers[i].latencies, 0, sizeof bench.workers[i].latencies);
    if (pthread_create(&threads[i], NULL, work, &bench.workers[i]) != 0) fail("no thread");
  }
  for (unsigned i = 0; i < bench.threads; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&bench.start);
  free(threads);
  print_result(row);
}

static void split_parts(const char *row)
{
  static char text[512];
  snprintf(text, sizeof text, "%s", row);
  for (char *part = strtok(text, "+"); part != NULL; part = strtok(NULL, "+")) {
    if (bench.part_count == PARTS) fail("a mix has too many parts");
    bench.parts[bench.part_count++] = part;
  }
}

/* The first worker of the same part, whose key pair it may share. */
static const struct worker *first_of(const struct worker *worker)
{
  return &bench.workers[worker->number % bench.part_count];
}

static void prepare(const struct options *options)
{
  split_parts(options->row);
  bench.threads = options->threads;
  if (bench.threads < bench.part_count) fail("a mix needs a thread for each part");
  bench.workers = calloc(bench.threads, sizeof *bench.workers);
  if (bench.workers == NULL) fail("no memory");
  initialize();
  for (unsigned i = 0; i < bench.threads; i++) {
    struct worker *worker = &bench.workers[i];
    worker->row = find_row(bench.parts[i % bench.part_count], &worker->size, &worker->token);
    if (worker->row == NULL) fail("no such row");
    if (worker->row->owns_module && bench.threads > 1) fail("this row has one thread");
    worker->number = i;
    worker->index = i / bench.part_count;
    snprintf(worker->key_name, sizeof worker->key_name, "bench-generate-%u", i);
    worker->session = open_session();
    if (i == 0) login(worker->session);
    worker->row->prepare(worker, first_of(worker));
    worker->row->verify(worker);
  }
}

/* Token keys would stay. */
static void destroy_keys(const struct worker *worker)
{
  bool shares = worker->index > 0 && worker->key == first_of(worker)->key;
  if (!worker->token || shares) return;
  CALL(C_DestroyObject, worker->session, worker->key);
  if (worker->public_key != CK_INVALID_HANDLE && worker->public_key != worker->key)
    CALL(C_DestroyObject, worker->session, worker->public_key);
}

static void run_row(const struct options *options)
{
  prepare(options);
  if (options->seconds > 0) {
    measure(options->row, options->seconds);
  } else {
    char line[64];
    printf("{\"ready\":true}\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) measure(options->row, atof(line));
  }
  if (bench.workers[0].row->owns_module) return;
  for (unsigned i = 0; i < bench.threads; i++) destroy_keys(&bench.workers[i]);
  CALL(C_Finalize, NULL);
}

static void run_populate(const struct options *options)
{
  initialize();
  /* The session that holds the login. */
  login(open_session());
  populate(options->from, options->to, options->threads);
  CALL(C_Finalize, NULL);
}

int main(int count, char **words)
{
  struct options options = parse(count, words);
  load_module(options.module);
  if (options.row != NULL) run_row(&options);
  else run_populate(&options);
  return 0;
}
