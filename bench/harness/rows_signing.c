/* Signatures and MACs, of whole messages. All threads share the key pair, as the threads of a server do. */
#include <stddef.h>
#include <string.h>

#include "keys.h"
#include "rows.h"

#define MESSAGE_BYTES 64

static void sign(struct worker *worker, CK_MECHANISM_TYPE type)
{
  CK_MECHANISM mechanism = {.mechanism = type};
  worker->output_length = worker->output_room;
  CALL(C_SignInit, worker->session, &mechanism, worker->key);
  CALL(C_Sign, worker->session, worker->input, worker->input_length, worker->output, &worker->output_length);
}

static CK_RV verify(struct worker *worker, CK_MECHANISM_TYPE type)
{
  CK_MECHANISM mechanism = {.mechanism = type};
  CALL(C_VerifyInit, worker->session, &mechanism, worker->public_key);
  return p11->C_Verify(worker->session, worker->input, worker->input_length, worker->output,
                       worker->output_length);
}

/* Signs; the signature must verify, and must not for another message. */
static void check_signature(struct worker *worker, CK_MECHANISM_TYPE type)
{
  sign(worker, type);
  check(verify(worker, type), "C_Verify");
  worker->input[0] ^= 1;
  expect(verify(worker, type) == CKR_SIGNATURE_INVALID, "the signature is refused for another message");
  worker->input[0] ^= 1;
}

static void share_pair(struct worker *worker, const struct worker *first)
{
  worker->key = first->key;
  worker->public_key = first->public_key;
}

static void prepare_rsa(struct worker *worker, const struct worker *first)
{
  allocate_buffers(worker, MESSAGE_BYTES, RSA_MAX_BYTES);
  if (worker->index > 0) share_pair(worker, first);
  else generate_rsa(worker->session, worker->size, worker->token, &worker->public_key, &worker->key);
}

static void run_rsa_sign(struct worker *worker)
{
  sign(worker, CKM_SHA256_RSA_PKCS);
}

static void verify_rsa_sign(struct worker *worker)
{
  check_signature(worker, CKM_SHA256_RSA_PKCS);
  expect(worker->output_length == worker->size / 8, "the signature is as long as the modulus");
}

static void run_rsa_verify(struct worker *worker)
{
  check(verify(worker, CKM_SHA256_RSA_PKCS), "C_Verify");
}

/* A digest as long as the curve, as CKM_ECDSA takes it. */
static void prepare_ecdsa(struct worker *worker, const struct worker *first)
{
  CK_ULONG digest_bytes = worker->size == 256 ? 32 : worker->size == 384 ? 48 : 64;
  allocate_buffers(worker, digest_bytes, 2 * ((worker->size + 7) / 8));
  if (worker->index > 0) share_pair(worker, first);
  else generate_ec(worker->session, worker->size, worker->token, &worker->public_key, &worker->key);
}

static void run_ecdsa_sign(struct worker *worker)
{
  sign(worker, CKM_ECDSA);
}

static void verify_ecdsa(struct worker *worker)
{
  check_signature(worker, CKM_ECDSA);
  expect(worker->output_length == worker->output_room, "the signature is r and s");
}

static void run_ecdsa_verify(struct worker *worker)
{
  check(verify(worker, CKM_ECDSA), "C_Verify");
}

static void prepare_hmac(struct worker *worker, const struct worker *first)
{
  (void)first;
  allocate_buffers(worker, worker->size, 32);
  worker->key = worker->public_key = generate_hmac(worker->session, worker->token);
}

static void run_hmac(struct worker *worker)
{
  sign(worker, CKM_SHA256_HMAC);
}

static void verify_hmac(struct worker *worker)
{
  check_signature(worker, CKM_SHA256_HMAC);
  expect(worker->output_length == 32, "the MAC is 32 bytes");
}

const struct row signing_rows[] = {
    {"rsa-sign", prepare_rsa, run_rsa_sign, verify_rsa_sign, false},
    {"rsa-verify", prepare_rsa, run_rsa_verify, verify_rsa_sign, false},
    {"ecdsa-sign", prepare_ecdsa, run_ecdsa_sign, verify_ecdsa, false},
    {"ecdsa-verify", prepare_ecdsa, run_ecdsa_verify, verify_ecdsa, false},
    {"hmac-sha256", prepare_hmac, run_hmac, verify_hmac, false},
    {NULL, NULL, NULL, NULL, false},
};
