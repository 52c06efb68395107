/* Objects: reading, searching, making and destroying. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "rows.h"

struct three {
  CK_KEY_TYPE key_type;
  char label[LABEL_ROOM], id[LABEL_ROOM];
  CK_ULONG label_length, id_length;
};

static void read_three(struct worker *worker, struct three *three)
{
  CK_ATTRIBUTE template[] = {
      {CKA_KEY_TYPE, &three->key_type, sizeof three->key_type},
      {CKA_LABEL, three->label, sizeof three->label},
      {CKA_ID, three->id, sizeof three->id},
  };
  CALL(C_GetAttributeValue, worker->session, worker->key, template, 3);
  three->label_length = template[1].ulValueLen;
  three->id_length = template[2].ulValueLen;
}

/* A key that is on the token: what an application finds and reads when it starts. */
static void prepare_attributes_token(struct worker *worker, const struct worker *first)
{
  (void)first;
  char label[LABEL_ROOM];
  population_label(label, 0);
  worker->key = find_key(worker->session, label);
}

static void prepare_attributes(struct worker *worker, const struct worker *first)
{
  (void)first;
  worker->key = generate_aes(worker->session, "bench-00000000", false);
}

static void run_attributes(struct worker *worker)
{
  struct three three;
  read_three(worker, &three);
}

static void verify_attributes(struct worker *worker)
{
  static const char expected[] = "bench-00000000";
  struct three three = {0};
  read_three(worker, &three);
  expect(three.key_type == CKK_AES, "the key type is AES");
  expect(three.label_length == sizeof expected - 1 && memcmp(three.label, expected, sizeof expected - 1) == 0,
         "the label is the key's");
  expect(three.id_length == sizeof expected - 1 && memcmp(three.id, expected, sizeof expected - 1) == 0,
         "the ID is the key's");
}

static void prepare_find(struct worker *worker, const struct worker *first)
{
  (void)first;
  worker->counter = worker->number;
}

/* Another label each time, all over the token: a multiplicative generator visits every number. */
static void run_find(struct worker *worker)
{
  char label[LABEL_ROOM];
  worker->counter = worker->counter * 6364136223846793005ULL + 1442695040888963407ULL;
  population_label(label, (unsigned long)((worker->counter >> 33) % worker->size));
  worker->key = find_key(worker->session, label);
}

static void verify_find(struct worker *worker)
{
  char label[LABEL_ROOM], read[LABEL_ROOM] = {0};
  population_label(label, worker->size - 1);
  CK_ATTRIBUTE template[] = {{CKA_LABEL, read, sizeof read}};
  CALL(C_GetAttributeValue, worker->session, find_key(worker->session, label), template, 1);
  expect(strcmp(read, label) == 0, "the key found has the label");
}

static void prepare_nothing(struct worker *worker, const struct worker *first)
{
  (void)worker;
  (void)first;
}

static void run_generate(struct worker *worker)
{
  CALL(C_DestroyObject, worker->session, generate_aes(worker->session, worker->key_name, false));
}

static void run_generate_token(struct worker *worker)
{
  CALL(C_DestroyObject, worker->session, generate_aes(worker->session, worker->key_name, true));
}

static void check_destroyed(struct worker *worker)
{
  CK_OBJECT_HANDLE key = worker->key;
  expect(p11->C_DestroyObject(worker->session, key) == CKR_OBJECT_HANDLE_INVALID, "the destroyed key is gone");
}

static void verify_generate(struct worker *worker)
{
  worker->key = generate_aes(worker->session, worker->key_name, false);
  CALL(C_DestroyObject, worker->session, worker->key);
  check_destroyed(worker);
}

static void verify_generate_token(struct worker *worker)
{
  worker->key = generate_aes(worker->session, worker->key_name, true);
  expect(find_key(worker->session, worker->key_name) == worker->key, "the new token key is found");
  CALL(C_DestroyObject, worker->session, worker->key);
  check_destroyed(worker);
}

static void run_generate_rsa(struct worker *worker)
{
  generate_rsa(worker->session, worker->size, false, &worker->public_key, &worker->key);
  CALL(C_DestroyObject, worker->session, worker->public_key);
  CALL(C_DestroyObject, worker->session, worker->key);
}

static void verify_generate_rsa(struct worker *worker)
{
  CK_BYTE modulus[RSA_MAX_BYTES];
  CK_ATTRIBUTE template[] = {{CKA_MODULUS, modulus, sizeof modulus}};
  generate_rsa(worker->session, worker->size, false, &worker->public_key, &worker->key);
  CALL(C_GetAttributeValue, worker->session, worker->public_key, template, 1);
  expect(template[0].ulValueLen == worker->size / 8 && (modulus[0] & 0x80) != 0, "the modulus has its size");
  CALL(C_DestroyObject, worker->session, worker->public_key);
  CALL(C_DestroyObject, worker->session, worker->key);
  check_destroyed(worker);
}

const struct row object_rows[] = {
    {"attributes", prepare_attributes, run_attributes, verify_attributes, false},
    {"attributes-token", prepare_attributes_token, run_attributes, verify_attributes, false},
    {"find-label", prepare_find, run_find, verify_find, false},
    {"aes-generate", prepare_nothing, run_generate, verify_generate, false},
    {"aes-generate-token", prepare_nothing, run_generate_token, verify_generate_token, false},
    {"rsa-generate", prepare_nothing, run_generate_rsa, verify_generate_rsa, false},
    {NULL, NULL, NULL, NULL, false},
};
