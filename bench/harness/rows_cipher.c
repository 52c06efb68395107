/* Encryption in one part, a key and a fresh IV for each thread. The size is the plaintext's. */
#include <stddef.h>
#include <string.h>

#include "keys.h"
#include "rows.h"

#define GCM_IV_BYTES 12
#define TAG_BYTES 16

static void prepare_aes(struct worker *worker, const struct worker *first)
{
  (void)first;
  /* SoftHSM 2.6 wants room for the tag when it decrypts as well. */
  allocate_buffers(worker, worker->size + TAG_BYTES, worker->size + TAG_BYTES);
  worker->input_length = worker->size;
  worker->key = generate_aes(worker->session, "bench-aes", worker->token);
  /* Never all zero: CloudHSM takes that as the wish for an IV of its own. */
  worker->iv[IV_BYTES - 1] = worker->iv[0] = (CK_BYTE)(worker->number + 1);
}

static void next_iv(struct worker *worker)
{
  worker->counter++;
  memcpy(worker->iv + 1, &worker->counter, sizeof worker->counter);
}

static void encrypt(struct worker *worker, CK_MECHANISM *mechanism)
{
  worker->output_length = worker->output_room;
  CALL(C_EncryptInit, worker->session, mechanism, worker->key);
  CALL(C_Encrypt, worker->session, worker->input, worker->input_length, worker->output, &worker->output_length);
}

/* The ciphertext in `output` must become the plaintext again. */
static void check_decrypts(struct worker *worker, CK_MECHANISM *mechanism, CK_ULONG expected_length)
{
  CK_ULONG length = worker->size + TAG_BYTES;
  expect(worker->output_length == expected_length, "the length of the ciphertext");
  expect(memcmp(worker->output, worker->input, worker->size) != 0, "the ciphertext is not the plaintext");
  memset(worker->input, 0, worker->size);
  CALL(C_DecryptInit, worker->session, mechanism, worker->key);
  CALL(C_Decrypt, worker->session, worker->output, worker->output_length, worker->input, &length);
  expect(length == worker->size, "the length of the plaintext");
  for (CK_ULONG i = 0; i < length; i++) expect(worker->input[i] == 'a', "decryption gives the plaintext back");
}

static CK_GCM_PARAMS gcm_parameters(struct worker *worker)
{
  return (CK_GCM_PARAMS){
      .pIv = worker->iv, .ulIvLen = GCM_IV_BYTES, .ulIvBits = GCM_IV_BYTES * 8, .ulTagBits = TAG_BYTES * 8};
}

static void run_gcm(struct worker *worker)
{
  next_iv(worker);
  CK_GCM_PARAMS parameters = gcm_parameters(worker);
  encrypt(worker, &(CK_MECHANISM){CKM_AES_GCM, &parameters, sizeof parameters});
}

static void verify_gcm(struct worker *worker)
{
  run_gcm(worker);
  CK_GCM_PARAMS parameters = gcm_parameters(worker);
  CK_MECHANISM mechanism = {CKM_AES_GCM, &parameters, sizeof parameters};
  check_decrypts(worker, &mechanism, worker->size + TAG_BYTES);
}

static void run_cbc(struct worker *worker)
{
  next_iv(worker);
  encrypt(worker, &(CK_MECHANISM){CKM_AES_CBC, worker->iv, IV_BYTES});
}

static void verify_cbc(struct worker *worker)
{
  run_cbc(worker);
  check_decrypts(worker, &(CK_MECHANISM){CKM_AES_CBC, worker->iv, IV_BYTES}, worker->size);
}

const struct row cipher_rows[] = {
    {"aes-gcm", prepare_aes, run_gcm, verify_gcm, false},
    {"aes-cbc", prepare_aes, run_cbc, verify_cbc, false},
    {NULL, NULL, NULL, NULL, false},
};
