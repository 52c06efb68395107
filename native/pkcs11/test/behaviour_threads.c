/* Many threads: each with a session of its own, and all on one. */
#include <string.h>

#include "behaviour_support.h"

#define THREADS 64
#define ROUNDS 5
#define DATA_BYTES(index) (100 + (CK_ULONG)(index))
#define CBC_BYTES(index) (DATA_BYTES(index) / 16 * 16 + 16)

/* What a thread's data gives; all but ECDSA has one right result. */
struct results {
  CK_BYTE digest[32], hmac[32], cbc[192], rsa[RSA_BYTES];
};

static CK_OBJECT_HANDLE aes, secret, rsa_private, ec_public, ec_private;
static struct results expected[THREADS];

static CK_RV hash_parts(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size, CK_BYTE *digest)
{
  CK_MECHANISM mechanism = {CKM_SHA256, NULL, 0};
  CK_ULONG length = 32, half = size / 2;
  CK_RV rv = p->C_DigestInit(session, &mechanism);
  if (rv == CKR_OK) rv = p->C_DigestUpdate(session, data, half);
  if (rv == CKR_OK) rv = p->C_DigestUpdate(session, data + half, size - half);
  return rv == CKR_OK ? p->C_DigestFinal(session, digest, &length) : rv;
}

static CK_RV encrypt_and_back(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size, CK_BYTE *output)
{
  CK_BYTE iv[16] = {1, 2, 3}, back[192];
  CK_MECHANISM mechanism = {CKM_AES_CBC_PAD, iv, sizeof iv};
  CK_ULONG length = 192, back_length = sizeof back;
  CK_RV rv = p->C_EncryptInit(session, &mechanism, aes);
  if (rv == CKR_OK) rv = p->C_Encrypt(session, data, size, output, &length);
  if (rv == CKR_OK) rv = p->C_DecryptInit(session, &mechanism, aes);
  if (rv == CKR_OK) rv = p->C_Decrypt(session, output, length, back, &back_length);
  if (rv != CKR_OK) return rv;
  return back_length == size && memcmp(back, data, size) == 0 ? CKR_OK : WRONG;
}

static CK_RV sign_and_verify(CK_SESSION_HANDLE session, CK_BYTE *data, CK_ULONG size)
{
  CK_BYTE signature[64];
  CK_ULONG length = sizeof signature;
  CK_MECHANISM mechanism = {CKM_ECDSA_SHA256, NULL, 0};
  CK_RV rv = sign(session, mechanism.mechanism, ec_private, data, size, signature, &length);
  if (rv == CKR_OK) rv = p->C_VerifyInit(session, &mechanism, ec_public);
  if (rv == CKR_OK) rv = p->C_Verify(session, data, size, signature, length);
  if (rv == CKR_OK) rv = p->C_VerifyInit(session, &mechanism, ec_public);
  if (rv != CKR_OK) return rv;
  data[0] ^= 1;
  rv = p->C_Verify(session, data, size, signature, length);
  data[0] ^= 1;
  return rv == CKR_SIGNATURE_INVALID ? CKR_OK : WRONG;
}

static CK_RV do_all(CK_SESSION_HANDLE session, int index, struct results *results)
{
  CK_BYTE data[DATA_BYTES(THREADS)];
  CK_ULONG size = DATA_BYTES(index), hmac_length = 32, rsa_length = RSA_BYTES;
  memset(data, index, sizeof data);
  CK_RV rv = hash_parts(session, data, size, results->digest);
  if (rv == CKR_OK) rv = sign(session, CKM_SHA256_HMAC, secret, data, size, results->hmac, &hmac_length);
  if (rv == CKR_OK) rv = encrypt_and_back(session, data, size, results->cbc);
  if (rv == CKR_OK) {
    rv = sign(session, CKM_SHA256_RSA_PKCS, rsa_private, data, size, results->rsa, &rsa_length);
  }
  return rv == CKR_OK ? sign_and_verify(session, data, size) : rv;
}

static CK_RV work_alone(int index)
{
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = CKR_OK;
  for (int i = 0; rv == CKR_OK && i < ROUNDS; i++) {
    struct results results = {0};
    rv = do_all(session, index, &results);
    if (rv == CKR_OK && memcmp(&results, &expected[index], sizeof results) != 0) rv = WRONG;
  }
  return rv == CKR_OK ? p->C_CloseSession(session) : rv;
}

static void make_keys(CK_SESSION_HANDLE session)
{
  CK_OBJECT_HANDLE rsa_public;
  CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  CK_ATTRIBUTE public_half[] = {THE(CKA_EC_PARAMS, prime256v1), YES(CKA_VERIFY)};
  CK_ATTRIBUTE private_half[] = {YES(CKA_SIGN)};
  aes = import_known(session, CKK_AES);
  secret = import_known(session, CKK_GENERIC_SECRET);
  must("RSA", generate_rsa(session, 2048, CK_FALSE, "threads", &rsa_public, &rsa_private));
  must("EC", p->C_GenerateKeyPair(session, &mechanism, public_half, COUNT(public_half), private_half,
                                  COUNT(private_half), &ec_public, &ec_private));
}

void scene_mixed(void)
{
  CK_SESSION_HANDLE session = start();
  make_keys(session);
  for (int i = 0; i < THREADS; i++) must("one thread", do_all(session, i, &expected[i]));
  say_bytes("digest", expected[1].digest, 32);
  say_bytes("hmac", expected[1].hmac, 32);
  say_bytes("cbc", expected[1].cbc, CBC_BYTES(1));
  in_threads("sessions of their own", THREADS, work_alone);
  say("C_Finalize", p->C_Finalize(NULL));
}

static CK_SESSION_HANDLE shared;
static CK_OBJECT_HANDLE labelled;

static CK_RV work_together(int index)
{
  CK_BYTE random[2][48] = {{0}};
  CK_RV rv = CKR_OK;
  for (int i = 0; rv == CKR_OK && i < 50; i++) {
    char label[16] = {0};
    CK_SESSION_INFO info = {0};
    CK_ATTRIBUTE attribute = THE(CKA_LABEL, label);
    CK_BYTE *mine = random[i % 2], *last = random[1 - i % 2];
    rv = p->C_GenerateRandom(shared, mine, sizeof random[0] - (CK_ULONG)index);
    if (rv == CKR_OK) rv = p->C_GetSessionInfo(shared, &info);
    if (rv == CKR_OK) rv = p->C_GetAttributeValue(shared, labelled, &attribute, 1);
    if (rv != CKR_OK) return rv;
    bool right = memcmp(mine, last, 40) != 0 && info.slotID == SLOT && info.state == CKS_RW_USER_FUNCTIONS &&
                 attribute.ulValueLen == 7 && strcmp(label, "threads") == 0;
    if (!right) rv = WRONG;
  }
  return rv;
}

void scene_shared(void)
{
  CK_OBJECT_HANDLE public_key;
  shared = start();
  must("RSA", generate_rsa(shared, 2048, CK_FALSE, "threads", &public_key, &labelled));
  in_threads("one session", 8, work_together);
  say("C_Finalize", p->C_Finalize(NULL));
}
