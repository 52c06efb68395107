/* The calls around all others: the null call, sessions, the life of the module. */
#include <stddef.h>

#include "rows.h"

static void prepare_nothing(struct worker *worker, const struct worker *first)
{
  (void)worker;
  (void)first;
}

static void run_null(struct worker *worker)
{
  CK_SESSION_INFO info;
  CALL(C_GetSessionInfo, worker->session, &info);
}

static void verify_null(struct worker *worker)
{
  CK_SESSION_INFO info = {0};
  CALL(C_GetSessionInfo, worker->session, &info);
  expect(info.state == CKS_RW_USER_FUNCTIONS, "the session is a user's read-write session");
}

static void run_session(struct worker *worker)
{
  (void)worker;
  CK_SESSION_HANDLE session = open_session();
  CALL(C_CloseSession, session);
}

static void verify_session(struct worker *worker)
{
  CK_SESSION_INFO info;
  CK_SESSION_HANDLE session = open_session();
  expect(session != worker->session, "a new session has a handle of its own");
  CALL(C_CloseSession, session);
  expect(p11->C_GetSessionInfo(session, &info) == CKR_SESSION_HANDLE_INVALID, "the closed session is gone");
}

static void prepare_life(struct worker *worker, const struct worker *first)
{
  (void)worker;
  (void)first;
  CALL(C_Finalize, NULL);
}

static void run_life(struct worker *worker)
{
  (void)worker;
  initialize();
  login(open_session());
  CALL(C_Finalize, NULL);
}

static void verify_life(struct worker *worker)
{
  initialize();
  worker->session = open_session();
  login(worker->session);
  verify_null(worker);
  CALL(C_Finalize, NULL);
  expect(p11->C_GetSessionInfo(worker->session, &(CK_SESSION_INFO){0}) == CKR_CRYPTOKI_NOT_INITIALIZED,
         "nothing is left after C_Finalize");
}

const struct row session_rows[] = {
    {"null", prepare_nothing, run_null, verify_null, false},
    {"session", prepare_nothing, run_session, verify_session, false},
    {"init-login", prepare_life, run_life, verify_life, true},
    {NULL, NULL, NULL, NULL, false},
};
