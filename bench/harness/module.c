#include "module.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 64

CK_FUNCTION_LIST_PTR p11;
static CK_SLOT_ID slot = CK_UNAVAILABLE_INFORMATION;

_Noreturn void fail(const char *what)
{
  fflush(stdout);
  fprintf(stderr, "%s\n", what);
  _Exit(1);
}

void check(CK_RV rv, const char *call)
{
  if (rv == CKR_OK) return;
  char text[128];
  snprintf(text, sizeof text, "%s answered 0x%lx", call, rv);
  fail(text);
}

void expect(bool right, const char *what)
{
  if (right) return;
  char text[256];
  snprintf(text, sizeof text, "wrong result: %s", what);
  fail(text);
}

void load_module(const char *file)
{
  CK_RV (*get_function_list)(CK_FUNCTION_LIST_PTR_PTR);
  void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  void *symbol = module == NULL ? NULL : dlsym(module, "C_GetFunctionList");
  if (symbol == NULL) fail(dlerror());
  memcpy(&get_function_list, &symbol, sizeof symbol);
  check(get_function_list(&p11), "C_GetFunctionList");
}

static CK_SLOT_ID find_slot(void)
{
  CK_SLOT_ID slots[SLOTS];
  CK_ULONG count = SLOTS;
  CALL(C_GetSlotList, CK_TRUE, slots, &count);
  for (CK_ULONG i = 0; i < count; i++) {
    CK_TOKEN_INFO info;
    CALL(C_GetTokenInfo, slots[i], &info);
    if (info.flags & CKF_TOKEN_INITIALIZED) return slots[i];
  }
  fail("no slot has an initialised token");
}

void initialize(void)
{
  CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
  CALL(C_Initialize, &arguments);
  if (slot == CK_UNAVAILABLE_INFORMATION) slot = find_slot();
}

CK_SESSION_HANDLE open_session(void)
{
  CK_SESSION_HANDLE session;
  CALL(C_OpenSession, slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session);
  return session;
}

void login(CK_SESSION_HANDLE session)
{
  char *pin = getenv("BENCH_PIN");
  if (pin == NULL) fail("BENCH_PIN is not set");
  CALL(C_Login, session, CKU_USER, (CK_UTF8CHAR_PTR)pin, strlen(pin));
}
