/* Threads that sign with one key as fast as they can, until somebody takes it from them. */
#include <string.h>

#include "behaviour_support.h"

#define SIGNERS 4
#define MOST_SIGNATURES 300

/* How they sign: short operations, which run beside each other where that helps, or long ones, which always do. */
struct kind {
  CK_MECHANISM_TYPE type;
  CK_ULONG bytes;
  int signatures; /* of each thread */
  CK_RV (*generate)(CK_SESSION_HANDLE session);
};

static const struct kind *kind;
static CK_OBJECT_HANDLE public_key, private_key;

static CK_RV generate_ec(CK_SESSION_HANDLE session)
{
  CK_MECHANISM mechanism = {CKM_EC_KEY_PAIR_GEN, NULL, 0};
  CK_ATTRIBUTE public_half[] = {THE(CKA_EC_PARAMS, prime256v1), YES(CKA_VERIFY)};
  CK_ATTRIBUTE private_half[] = {YES(CKA_SIGN)};
  return p->C_GenerateKeyPair(session, &mechanism, public_half, COUNT(public_half), private_half,
                              COUNT(private_half), &public_key, &private_key);
}

static CK_RV generate_modulus(CK_SESSION_HANDLE session)
{
  return generate_rsa(session, 2048, CK_FALSE, "signers", &public_key, &private_key);
}

static const struct kind p256 = {CKM_ECDSA, 64, MOST_SIGNATURES, generate_ec};
static const struct kind rsa = {CKM_SHA256_RSA_PKCS, RSA_BYTES, MOST_SIGNATURES / 3, generate_modulus};

static CK_RV sign_one(CK_SESSION_HANDLE session, int index, int number, CK_BYTE *signature)
{
  CK_BYTE data[32] = {(CK_BYTE)index, (CK_BYTE)number, (CK_BYTE)(number >> 8)};
  CK_ULONG length = kind->bytes;
  return sign(session, kind->type, private_key, data, sizeof data, signature, &length);
}

static CK_RV verify_one(CK_SESSION_HANDLE session, int index, int number, CK_BYTE *signature)
{
  CK_BYTE data[32] = {(CK_BYTE)index, (CK_BYTE)number, (CK_BYTE)(number >> 8)};
  CK_MECHANISM mechanism = {kind->type, NULL, 0};
  CK_RV rv = p->C_VerifyInit(session, &mechanism, public_key);
  return rv == CKR_OK ? p->C_Verify(session, data, sizeof data, signature, kind->bytes) : rv;
}

static CK_RV sign_many(int index)
{
  static CK_BYTE signatures[SIGNERS][MOST_SIGNATURES][RSA_BYTES];
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = CKR_OK;
  for (int i = 0; rv == CKR_OK && i < kind->signatures; i++)
    rv = sign_one(session, index, i, signatures[index][i]);
  for (int i = 0; rv == CKR_OK && i < kind->signatures; i++)
    rv = verify_one(session, index, i, signatures[index][i]);
  return rv;
}

/* The first thread destroys the key, and the others sign until they cannot. */
static CK_RV sign_until_destroyed(int index)
{
  CK_BYTE signature[RSA_BYTES], good[RSA_BYTES];
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = CKR_OK, verified = CKR_OK;
  for (int i = 0; rv == CKR_OK && verified == CKR_OK; i++) {
    if (index == 0 && i == kind->signatures) return p->C_DestroyObject(session, private_key);
    rv = sign_one(session, index, i, signature);
    if (rv == CKR_OK) memcpy(good, signature, sizeof good);
    else verified = i == 0 ? WRONG : verify_one(session, index, i - 1, good);
  }
  return verified == CKR_OK ? rv : WRONG;
}

/* What the others are answered depends on which of their two calls came too late. */
static CK_RV sign_until(int index, CK_SESSION_HANDLE session, CK_RV begun, CK_RV other)
{
  CK_BYTE signature[RSA_BYTES];
  CK_RV rv = CKR_OK;
  for (int i = 0; rv == CKR_OK && (index != 0 || i < kind->signatures); i++)
    rv = sign_one(session, index, i, signature);
  return rv == begun || rv == other ? CKR_OK : rv;
}

static CK_RV sign_until_logged_out(int index)
{
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = sign_until(index, session, CKR_OPERATION_NOT_INITIALIZED, CKR_USER_NOT_LOGGED_IN);
  return index == 0 && rv == CKR_OK ? p->C_Logout(session) : rv;
}

static CK_RV sign_until_closed(int index)
{
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = sign_until(index, session, CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID);
  return index == 0 && rv == CKR_OK ? p->C_CloseAllSessions(SLOT) : rv;
}

static void play(const struct kind *played)
{
  CK_SESSION_HANDLE session = start();
  kind = played;
  must("first key", kind->generate(session));
  in_threads("one key", SIGNERS, sign_many);
  in_threads("until it is destroyed", SIGNERS, sign_until_destroyed);
  must("second key", kind->generate(session));
  in_threads("until they are logged out", SIGNERS, sign_until_logged_out);
  must("login", login(session));
  must("third key", kind->generate(session));
  in_threads("until their sessions are closed", SIGNERS, sign_until_closed);
  session = open_session();
  must("another login", login(session));
  must("fourth key", kind->generate(session));
  in_threads("another key", SIGNERS, sign_many);
  say("C_Finalize", p->C_Finalize(NULL));
}

void scene_signers(void)
{
  play(&p256);
}

void scene_long_signers(void)
{
  play(&rsa);
}

static CK_RV sign_forever(int index)
{
  CK_BYTE signature[RSA_BYTES];
  CK_SESSION_HANDLE session = open_session();
  CK_RV rv = CKR_OK;
  for (int i = 0; rv == CKR_OK; i++) {
    if (index == 0 && i == 10) say("signing", rv);
    rv = sign_one(session, index, i, signature);
  }
  return rv;
}

/* To be killed. */
void scene_sign_forever(void)
{
  kind = &rsa;
  must("key", kind->generate(start()));
  in_threads("forever", SIGNERS, sign_forever);
}
