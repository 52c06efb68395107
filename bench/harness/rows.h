/* What is measured: a table of row families. `aes-gcm-1024` is family `aes-gcm` with size 1024, and any other size
 * can be asked for as well; `aes-gcm-token-1024` is the same with a key on the token. */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "histogram.h"
#include "module.h"

#define IV_BYTES 16

struct row;

/* One thread of a row, with a session of its own. */
struct worker {
  const struct row *row;
  CK_ULONG size;
  /* The keys are token keys. */
  bool token;
  /* Among all threads, and among those of the same part of a mix. */
  unsigned number, index;
  /* Label and id of keys that it generates: an id may be only one key's at a time. */
  char key_name[32];
  CK_SESSION_HANDLE session;
  CK_OBJECT_HANDLE key, public_key;
  CK_BYTE_PTR input, output;
  CK_ULONG input_length, output_length, output_room;
  CK_BYTE iv[IV_BYTES];
  uint64_t counter;
  struct histogram latencies;
  uint64_t elapsed_ns;
};

struct row {
  const char *family;
  /* Makes what `run` needs; `first` has index 0, is already prepared, and its key pair is shared. */
  void (*prepare)(struct worker *worker, const struct worker *first);
  /* One operation. */
  void (*run)(struct worker *worker);
  /* Runs one operation and ends the program unless its result is right. */
  void (*verify)(struct worker *worker);
  /* The row initialises and finalises the module itself: one thread only. */
  bool owns_module;
};

/* Finds the family, the size and where the key is; NULL if there is none. */
const struct row *find_row(const char *name, CK_ULONG *size, bool *token);

/* Allocates `input` of this length, filled with the letter a, and `output` with this room. */
void allocate_buffers(struct worker *worker, CK_ULONG input_length, CK_ULONG output_room);

extern const struct row session_rows[], signing_rows[], cipher_rows[], digest_rows[], object_rows[];

#endif
