/* What needs no key. */
#include <stddef.h>
#include <string.h>

#include "rows.h"

#define SHA256_BYTES 32

static void prepare_digest(struct worker *worker, const struct worker *first)
{
  (void)first;
  allocate_buffers(worker, worker->size, SHA256_BYTES);
}

static void run_digest(struct worker *worker)
{
  CK_MECHANISM mechanism = {.mechanism = CKM_SHA256};
  worker->output_length = worker->output_room;
  CALL(C_DigestInit, worker->session, &mechanism);
  CALL(C_Digest, worker->session, worker->input, worker->input_length, worker->output, &worker->output_length);
}

/* SHA-256 of `abc` (FIPS 180-2, appendix B.1), then of the row's own message once in one part and once in two. */
static void verify_digest(struct worker *worker)
{
  static const CK_BYTE of_abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                   0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                   0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
  CK_MECHANISM mechanism = {.mechanism = CKM_SHA256};
  CK_BYTE digest[SHA256_BYTES];
  CK_ULONG length = sizeof digest, half = worker->input_length / 2;
  CALL(C_DigestInit, worker->session, &mechanism);
  CALL(C_Digest, worker->session, (CK_BYTE_PTR) "abc", 3, digest, &length);
  expect(length == sizeof digest && memcmp(digest, of_abc, sizeof digest) == 0, "the digest of abc");
  CALL(C_DigestInit, worker->session, &mechanism);
  CALL(C_DigestUpdate, worker->session, worker->input, half);
  CALL(C_DigestUpdate, worker->session, worker->input + half, worker->input_length - half);
  CALL(C_DigestFinal, worker->session, digest, &length);
  run_digest(worker);
  expect(memcmp(digest, worker->output, sizeof digest) == 0, "one part and two give the same digest");
}

static void prepare_random(struct worker *worker, const struct worker *first)
{
  (void)first;
  allocate_buffers(worker, worker->size, worker->size);
}

static void run_random(struct worker *worker)
{
  CALL(C_GenerateRandom, worker->session, worker->output, worker->output_room);
}

static void verify_random(struct worker *worker)
{
  run_random(worker);
  memcpy(worker->input, worker->output, worker->size);
  run_random(worker);
  expect(worker->size < 8 || memcmp(worker->input, worker->output, worker->size) != 0, "two random strings differ");
}

const struct row digest_rows[] = {
    {"sha256", prepare_digest, run_digest, verify_digest, false},
    {"random", prepare_random, run_random, verify_random, false},
    {NULL, NULL, NULL, NULL, false},
};
