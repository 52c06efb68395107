/* Rows 1, 3, 4, 5, 6 and 15: forks, threads and sessions, and the death of the engine. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behaviour_support.h"

#define SIGNATURES_PER_THREAD 20

static CK_BYTE message[] = "what the key signs";
/* The RSA key that a scene's threads sign with, and the one right signature: PKCS#1 v1.5 leaves no other. */
static CK_OBJECT_HANDLE signing_key;
static CK_BYTE right_signature[RSA_BYTES];

static CK_RV sign_rightly(CK_SESSION_HANDLE session)
{
  CK_BYTE signature[RSA_BYTES] = {0};
  CK_ULONG length = sizeof signature;
  CK_RV rv = sign(session, CKM_SHA256_RSA_PKCS, signing_key, message, sizeof message, signature, &length);
  if (rv != CKR_OK) return rv;
  return length == RSA_BYTES && memcmp(signature, right_signature, RSA_BYTES) == 0 ? CKR_OK : WRONG;
}

/* Makes the key as a token key, and the signature. */
static void prepare_signing(CK_SESSION_HANDLE session, const char *label)
{
  CK_OBJECT_HANDLE public_key;
  CK_ULONG length = RSA_BYTES;
  must("C_GenerateKeyPair", generate_rsa(session, 2048, CK_TRUE, label, &public_key, &signing_key));
  must("C_Sign", sign(session, CKM_SHA256_RSA_PKCS, signing_key, message, sizeof message, right_signature,
                      &length));
}

static CK_RV sign_in_a_session(int index)
{
  CK_SESSION_HANDLE session;
  (void)index;
  CK_RV rv = p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &session);
  for (int i = 0; rv == CKR_OK && i < SIGNATURES_PER_THREAD; i++) rv = sign_rightly(session);
  return rv == CKR_OK ? p->C_CloseSession(session) : rv;
}

/* Row 1. */
static CK_RV finish_signature(CK_SESSION_HANDLE session)
{
  CK_BYTE signature[RSA_BYTES];
  CK_ULONG length = sizeof signature;
  CK_RV rv = p->C_Sign(session, message, sizeof message, signature, &length);
  if (rv != CKR_OK) return rv;
  return memcmp(signature, right_signature, RSA_BYTES) == 0 ? CKR_OK : WRONG;
}

static void child_of_fork(CK_SESSION_HANDLE parents)
{
  say("child C_Sign", finish_signature(parents));
  say("child C_Finalize", p->C_Finalize(NULL));
  say("child C_Initialize", p->C_Initialize(NULL));
  say("child, the parent's session", session_info(parents));
  CK_SESSION_HANDLE session = open_session();
  say("child C_Login", login(session));
  signing_key = find_private(session, "row 1");
  in_threads("child signs", 32, sign_in_a_session);
  say("child C_Finalize after", p->C_Finalize(NULL));
}

static atomic_int child_ended;

static void *parent_signs(void *argument)
{
  CK_SESSION_HANDLE session = *(CK_SESSION_HANDLE *)argument;
  CK_RV rv = CKR_OK;
  while (rv == CKR_OK && !atomic_load(&child_ended)) rv = sign_rightly(session);
  say("parent's thread", rv);
  return NULL;
}

void scene_fork(void)
{
  CK_MECHANISM mechanism = {CKM_SHA256_RSA_PKCS, NULL, 0};
  pthread_t signer;
  int status = 0;
  CK_SESSION_HANDLE session = start(), threads = open_session();
  prepare_signing(session, "row 1");
  must("C_SignInit", p->C_SignInit(session, &mechanism, signing_key));
  if (pthread_create(&signer, NULL, parent_signs, &threads) != 0) exit(3);
  pid_t child = fork();
  if (child == 0) {
    child_of_fork(session);
    _exit(0);
  }
  waitpid(child, &status, 0);
  atomic_store(&child_ended, 1);
  pthread_join(signer, NULL);
  tell("child ended %d", status);
  say("parent C_Sign", finish_signature(session));
  say("parent C_Finalize", p->C_Finalize(NULL));
}

/* Row 4. */
void scene_cycle(void)
{
  int failures = 0;
  for (int i = 0; i < 100; i++) {
    CK_SLOT_ID slot = 0;
    CK_ULONG count = 1;
    CK_SESSION_HANDLE session = 0;
    failures += p->C_Initialize(NULL) != CKR_OK;
    failures += p->C_GetSlotList(CK_TRUE, &slot, &count) != CKR_OK || count != 1 || slot != SLOT;
    failures += p->C_OpenSession(slot, OPEN_FLAGS, NULL, NULL, &session) != CKR_OK;
    failures += p->C_OpenSession(slot, OPEN_FLAGS, NULL, NULL, &session) != CKR_OK;
    failures += login(session) != CKR_OK;
    failures += p->C_Finalize(NULL) != CKR_OK;
  }
  tell("100 cycles, %d failures", failures);
}

static atomic_int waiter_id;

static void *wait_for_event(void *unused)
{
  CK_SLOT_ID slot;
  (void)unused;
  atomic_store(&waiter_id, thread_id());
  say("C_WaitForSlotEvent blocked", p->C_WaitForSlotEvent(0, &slot, NULL));
  return NULL;
}

void scene_events(void)
{
  CK_SLOT_ID slot;
  pthread_t waiter;
  must("C_Initialize", p->C_Initialize(NULL));
  say("C_WaitForSlotEvent(CKF_DONT_BLOCK)", p->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, NULL));
  say("C_WaitForSlotEvent(reserved)", p->C_WaitForSlotEvent(CKF_DONT_BLOCK, &slot, &slot));
  if (pthread_create(&waiter, NULL, wait_for_event, NULL) != 0) exit(3);
  while (atomic_load(&waiter_id) == 0) usleep(1000);
  await_asleep(atomic_load(&waiter_id));
  CK_RV rv = p->C_Finalize(NULL);
  pthread_join(waiter, NULL);
  say("C_Finalize", rv);
  say("C_Initialize again", p->C_Initialize(NULL));
  say("C_Finalize again", p->C_Finalize(NULL));
}

/* Row 5. Even threads sign; odd ones open sessions, make a key there, leave an operation, and close them. */
static CK_RV sign_or_close(int index)
{
  CK_MECHANISM hash = {CKM_SHA256, NULL, 0}, rsa = {CKM_SHA256_RSA_PKCS, NULL, 0};
  CK_RV rv = CKR_OK;
  if (index % 2 == 0) return sign_in_a_session(index);
  for (int i = 0; rv == CKR_OK && i < SIGNATURES_PER_THREAD; i++) {
    CK_SESSION_HANDLE session = open_session();
    import_known(session, CKK_AES);
    rv = p->C_DigestInit(session, &hash);
    if (rv == CKR_OK) rv = p->C_SignInit(session, &rsa, signing_key);
    if (rv == CKR_OK) rv = p->C_CloseSession(session);
    if (rv == CKR_OK && session_info(session) != CKR_SESSION_HANDLE_INVALID) rv = WRONG;
  }
  return rv;
}

void scene_close(void)
{
  CK_SESSION_HANDLE session = start();
  prepare_signing(session, "row 5");
  CK_ULONG before = count_objects(session);
  in_threads("sign and close", 16, sign_or_close);
  tell("objects %+ld", (long)(count_objects(session) - before));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 6, and the wrong slot of row 7. */
static CK_RV notify(CK_SESSION_HANDLE session, CK_NOTIFICATION event, CK_VOID_PTR application)
{
  tell("notified of %lu in %lu for %p", event, session, application);
  return CKR_OK;
}

void scene_open(void)
{
  CK_SESSION_HANDLE session = 0;
  CK_SESSION_INFO info = {0};
  int application = 0;
  must("C_Initialize", p->C_Initialize(NULL));
  say("with both", p->C_OpenSession(SLOT, OPEN_FLAGS, &application, notify, &session));
  say("with a callback", p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, notify, &session));
  say("with a pointer", p->C_OpenSession(SLOT, OPEN_FLAGS, &application, NULL, &session));
  say("C_GetSessionInfo", p->C_GetSessionInfo(session, &info));
  tell("slot 0x%lx, flags 0x%lx, state %lu", info.slotID, info.flags, info.state);
  say("slot 1", p->C_OpenSession(1, OPEN_FLAGS, NULL, NULL, &session));
  say("without CKF_SERIAL_SESSION", p->C_OpenSession(SLOT, CKF_RW_SESSION, NULL, NULL, &session));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 15. */
static atomic_int generator_id;

static void *announce(void *unused)
{
  while (atomic_load(&generator_id) == 0) usleep(1000);
  await_asleep(atomic_load(&generator_id));
  tell("generating");
  return unused;
}

static CK_RV generate_until_failure(CK_SESSION_HANDLE session)
{
  CK_OBJECT_HANDLE one, other;
  CK_RV rv = CKR_OK;
  atomic_store(&generator_id, thread_id());
  while (rv == CKR_OK) rv = generate_rsa(session, 4096, CK_FALSE, "lost", &one, &other);
  return rv;
}

void scene_killed(void)
{
  CK_ULONG count = 0;
  CK_SESSION_HANDLE fresh = 0;
  pthread_t announcer;
  CK_SESSION_HANDLE session = start(), other = open_session();
  prepare_signing(session, "row 15");
  if (pthread_create(&announcer, NULL, announce, NULL) != 0) exit(3);
  say("C_GenerateKeyPair", generate_until_failure(session)); /* the test kills the engine meanwhile */
  pthread_join(announcer, NULL);
  say("C_GetSessionInfo", session_info(session));
  say("C_Sign", sign_rightly(other));
  say("C_GetSlotList", p->C_GetSlotList(CK_TRUE, NULL, &count));
  say("C_OpenSession", p->C_OpenSession(SLOT, OPEN_FLAGS, NULL, NULL, &fresh));
  pause_at("start it again");
  say("old C_GetSessionInfo", session_info(session));
  say("old C_Sign", sign_rightly(other));
  fresh = open_session();
  tell("fresh state %lu", session_state(fresh));
  say("fresh C_Login", login(fresh));
  signing_key = find_private(fresh, "row 15");
  in_threads("fresh sessions sign", 8, sign_in_a_session);
  say("old C_CloseSession", p->C_CloseSession(other));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 3. */
static CK_SESSION_HANDLE left_open;

static void at_exit(void)
{
  say("C_CloseSession", p->C_CloseSession(left_open));
  say("C_CloseAllSessions", p->C_CloseAllSessions(SLOT));
  say("C_Finalize", p->C_Finalize(NULL));
}

void scene_at_exit(void)
{
  atexit(at_exit);
  left_open = start();
  pause_at("kill it");
}
