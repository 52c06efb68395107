/* Rows 2, 4, 5 and 8: who is logged in, and what a session that is closed takes with it. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behaviour_support.h"

/* Row 2. */
static CK_RV initialize(int index)
{
  (void)index;
  return p->C_Initialize(NULL);
}

void scene_initialize(void)
{
  in_threads("C_Initialize", 50, initialize);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 4. */
void scene_login_again(void)
{
  CK_SESSION_HANDLE first = start(), second = open_session();
  say("C_Login while logged in", login(second));
  say("C_CloseSession of the one that logged in", p->C_CloseSession(first));
  tell("state of the other %lu", session_state(second));
  say("C_CloseSession of the last", p->C_CloseSession(second));
  CK_SESSION_HANDLE third = open_session();
  tell("state of a new one %lu", session_state(third));
  say("C_Login again", login(third));
  tell("state then %lu", session_state(third));
  say("C_CloseAllSessions", p->C_CloseAllSessions(SLOT));
  say("C_Login once more", login(open_session()));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 5. */
static CK_SESSION_HANDLE sessions[16];

static CK_RV login_of(int index)
{
  return login(sessions[index]);
}

void scene_logins(void)
{
  must("C_Initialize", p->C_Initialize(NULL));
  for (size_t i = 0; i < COUNT(sessions); i++) sessions[i] = open_session();
  in_threads("C_Login", COUNT(sessions), login_of);
  for (size_t i = 0; i < COUNT(sessions); i++) {
    if (session_state(sessions[i]) != CKS_RW_USER_FUNCTIONS) tell("session %zu is not logged in", i);
  }
  say("C_Logout", p->C_Logout(sessions[3]));
  in_threads("C_Login again", COUNT(sessions), login_of);
  say("C_Finalize", p->C_Finalize(NULL));
}

/* A call on `closing` that is under way while the session closes. */
static CK_SESSION_HANDLE closing;
static atomic_int caller_id;

static void close_meanwhile(void *(*call)(void *))
{
  pthread_t caller;
  if (pthread_create(&caller, NULL, call, NULL) != 0) exit(3);
  while (atomic_load(&caller_id) == 0) usleep(1000);
  await_asleep(atomic_load(&caller_id));
  say("C_CloseSession", p->C_CloseSession(closing));
  pthread_join(caller, NULL);
}

static void *log_in(void *unused)
{
  atomic_store(&caller_id, thread_id());
  login(closing);
  return unused;
}

void scene_close_login(void)
{
  must("C_Initialize", p->C_Initialize(NULL));
  closing = open_session();
  close_meanwhile(log_in);
  CK_SESSION_HANDLE session = open_session();
  tell("state of a new one %lu", session_state(session));
  say("C_Login", login(session));
  say("C_Finalize", p->C_Finalize(NULL));
}

static void *generate(void *unused)
{
  CK_OBJECT_HANDLE public_key, private_key;
  atomic_store(&caller_id, thread_id());
  generate_rsa(closing, 4096, CK_FALSE, "closing", &public_key, &private_key);
  return unused;
}

void scene_close_generation(void)
{
  CK_SESSION_HANDLE session = start();
  CK_ULONG before = count_objects(session);
  closing = open_session();
  close_meanwhile(generate);
  tell("objects %+ld", (long)(count_objects(session) - before));
  say("C_Finalize", p->C_Finalize(NULL));
}

/* Row 8. */
static void login_with(CK_SESSION_HANDLE session, const char *name, const char *pin)
{
  say(name, p->C_Login(session, CKU_USER, (CK_BYTE *)pin, strlen(pin)));
}

void scene_before_login(void)
{
  CK_OBJECT_HANDLE public_key, private_key;
  CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
  CK_ATTRIBUTE template[] = {THE(CKA_CLASS, class), TEXT(CKA_LABEL, "row 8")};
  CK_SESSION_HANDLE session = start();
  must("RSA", generate_rsa(session, 2048, CK_TRUE, "row 8", &public_key, &private_key));
  must("C_Logout", p->C_Logout(session));
  tell("before login %lu", find(session, template, COUNT(template), NULL, 0));
  say("C_SignInit", p->C_SignInit(session, &(CK_MECHANISM){CKM_SHA256_RSA_PKCS, NULL, 0}, private_key));
  const char *pin = getenv("CLOUDHSM_PIN");
  login_with(session, "PIN without a user", strchr(pin, ':') + 1);
  login_with(session, "PIN with an empty user", strchr(pin, ':'));
  say("CKU_SO", p->C_Login(session, CKU_SO, (CK_BYTE *)pin, strlen(pin)));
  say("C_Login", login(session));
  tell("after login %lu", find(session, template, COUNT(template), NULL, 0));
  say("C_Finalize", p->C_Finalize(NULL));
}
