/* The HSM, reached through the PKCS#11 module that lies beside the engine. */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"

#define MODULE_NAME "libcloudhsm_pkcs11.so"
/* Sessions that wait for the next signature: one per thread that signs at a time. */
#define MOST_IDLE 64

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static CK_FUNCTION_LIST *p11;
static bool ready; /* in this process: initialised and logged in */
static CK_SLOT_ID slot;
static CK_SESSION_HANDLE login_session;
static CK_SESSION_HANDLE idle[MOST_IDLE];
static size_t idle_count;

static void before_fork(void)
{
  pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
  pthread_mutex_unlock(&lock);
}

/* The child has no session, and logs in by itself. */
static void in_child(void)
{
  ready = false;
  idle_count = 0;
  pthread_mutex_unlock(&lock);
}

bool token_prepare(void)
{
  static bool prepared;
  if (!prepared) prepared = pthread_atfork(before_fork, after_fork, in_child) == 0;
  return prepared;
}

/* The module: in the folder where the engine's file is, whatever links lead to it. */
static bool load_module(void)
{
  if (p11 != NULL) return true;
  Dl_info self;
  char path[PATH_MAX], file[PATH_MAX + sizeof MODULE_NAME];
  CK_RV (*get_list)(CK_FUNCTION_LIST **) = NULL;
  if (dladdr((void *)&lock, &self) != 0 && realpath(self.dli_fname, path) != NULL) {
    char *name = strrchr(path, '/');
    snprintf(file, sizeof file, "%.*s/" MODULE_NAME, (int)(name - path), path);
    void *module = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (module != NULL) *(void **)&get_list = dlsym(module, "C_GetFunctionList");
  }
  if (get_list != NULL && get_list(&p11) == CKR_OK) return true;
  engine_error(REASON_NO_MODULE, get_list == NULL ? dlerror() : "C_GetFunctionList", CKR_OK);
  return false;
}

/* "CLOUDHSM_PIN; n3fips_password still accepted by the engine" (reference management-tools, section 1). */
static const char *credentials(void)
{
  const char *pin = getenv("CLOUDHSM_PIN");
  return pin != NULL && pin[0] != 0 ? pin : getenv("n3fips_password");
}

static CK_RV open_session(CK_SESSION_HANDLE *session)
{
  return p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, session);
}

/* Initialises the module and logs in; the lock is held. */
static bool get_ready(void)
{
  if (ready) return true;
  if (!load_module()) return false;
  const char *pin = credentials();
  if (pin == NULL || pin[0] == 0) {
    engine_error(REASON_NO_PIN, "C_Login", CKR_OK);
    return false;
  }
  CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
  const char *call = "C_Initialize";
  CK_RV rv = p11->C_Initialize(&arguments);
  if (rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED) {
    CK_ULONG count = 1;
    call = "C_GetSlotList";
    rv = p11->C_GetSlotList(CK_TRUE, &slot, &count);
    if (rv == CKR_BUFFER_TOO_SMALL) rv = CKR_OK;
  }
  if (rv == CKR_OK) {
    call = "C_OpenSession";
    rv = open_session(&login_session);
  }
  if (rv == CKR_OK) {
    call = "C_Login";
    rv = p11->C_Login(login_session, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin, strlen(pin));
    if (rv == CKR_USER_ALREADY_LOGGED_IN) rv = CKR_OK;
    if (rv != CKR_OK) p11->C_CloseSession(login_session);
  }
  ready = rv == CKR_OK;
  if (!ready) engine_error(REASON_CALL, call, rv);
  return ready;
}

/* What tells that the sessions are gone: the engine of the HSMs was started again, or no HSM is left. */
static bool is_lost(CK_RV rv)
{
  return rv == CKR_SESSION_HANDLE_INVALID || rv == CKR_SESSION_CLOSED || rv == CKR_USER_NOT_LOGGED_IN ||
         rv == CKR_DEVICE_REMOVED || rv == CKR_DEVICE_ERROR || rv == CKR_CRYPTOKI_NOT_INITIALIZED;
}

/* A session of this process; a new login where the old one turns out to be gone. */
static bool take_session(CK_SESSION_HANDLE *session)
{
  pthread_mutex_lock(&lock);
  bool was_ready = ready;
  bool taken = get_ready();
  if (taken && idle_count > 0) {
    *session = idle[--idle_count];
  } else if (taken) {
    CK_RV rv = open_session(session);
    if (was_ready && is_lost(rv)) {
      ready = false;
      taken = get_ready();
      if (taken) rv = open_session(session);
    }
    if (taken && rv != CKR_OK) {
      taken = false;
      engine_error(REASON_CALL, "C_OpenSession", rv);
    }
  }
  pthread_mutex_unlock(&lock);
  return taken;
}

static void give_back(CK_SESSION_HANDLE session)
{
  pthread_mutex_lock(&lock);
  bool kept = ready && idle_count < MOST_IDLE;
  if (kept) idle[idle_count++] = session;
  pthread_mutex_unlock(&lock);
  if (!kept) p11->C_CloseSession(session);
}

static void forget_sessions(void)
{
  pthread_mutex_lock(&lock);
  ready = false;
  idle_count = 0;
  pthread_mutex_unlock(&lock);
}

/* Runs `work` with a session of its own, and once more with a new login where the sessions turn out to be gone. */
static bool with_session(const char *name, CK_RV (*work)(CK_SESSION_HANDLE, void *), void *context)
{
  CK_RV rv = CKR_OK;
  for (int attempt = 0; attempt < 2; attempt++) {
    CK_SESSION_HANDLE session;
    if (!take_session(&session)) return false;
    rv = work(session, context);
    if (!is_lost(rv)) {
      give_back(session);
      break;
    }
    forget_sessions();
  }
  if (rv != CKR_OK) engine_error(REASON_CALL, name, rv);
  return rv == CKR_OK;
}

struct signing {
  CK_MECHANISM mechanism;
  CK_OBJECT_HANDLE key;
  const unsigned char *input;
  size_t input_bytes;
  unsigned char *signature;
  size_t *signature_bytes;
};

static CK_RV sign(CK_SESSION_HANDLE session, void *context)
{
  struct signing *work = context;
  CK_RV rv = p11->C_SignInit(session, &work->mechanism, work->key);
  if (rv != CKR_OK) return rv;
  CK_ULONG length = *work->signature_bytes;
  rv = p11->C_Sign(session, (CK_BYTE *)(uintptr_t)work->input, work->input_bytes, work->signature, &length);
  if (rv == CKR_OK) *work->signature_bytes = length;
  return rv;
}

bool token_sign(CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE key, const unsigned char *input, size_t input_bytes,
                unsigned char *signature, size_t *signature_bytes)
{
  struct signing work = {{mechanism, NULL, 0}, key, input, input_bytes, signature, signature_bytes};
  return with_session("C_Sign", sign, &work);
}

struct generation {
  CK_ULONG modulus_bits;
  CK_BYTE exponent[8];
  CK_ULONG exponent_bytes;
  CK_OBJECT_HANDLE private_key;
  CK_BYTE modulus[512];
  CK_ULONG modulus_bytes;
};

static CK_RV generate_rsa(CK_SESSION_HANDLE session, void *context)
{
  struct generation *work = context;
  CK_BBOOL yes = CK_TRUE;
  CK_ATTRIBUTE public_template[] = {
      {CKA_TOKEN, &yes, sizeof yes},
      {CKA_PRIVATE, &yes, sizeof yes},
      {CKA_VERIFY, &yes, sizeof yes},
      {CKA_MODULUS_BITS, &work->modulus_bits, sizeof work->modulus_bits},
      {CKA_PUBLIC_EXPONENT, work->exponent, work->exponent_bytes},
  };
  CK_ATTRIBUTE private_template[] = {
      {CKA_TOKEN, &yes, sizeof yes}, {CKA_PRIVATE, &yes, sizeof yes}, {CKA_SIGN, &yes, sizeof yes}};
  CK_MECHANISM mechanism = {CKM_RSA_X9_31_KEY_PAIR_GEN, NULL, 0};
  CK_OBJECT_HANDLE public_key;
  CK_RV rv = p11->C_GenerateKeyPair(session, &mechanism, public_template, sizeof public_template / sizeof *public_template,
                                    private_template, sizeof private_template / sizeof *private_template, &public_key,
                                    &work->private_key);
  if (rv != CKR_OK) return rv;
  CK_ATTRIBUTE modulus = {CKA_MODULUS, work->modulus, sizeof work->modulus};
  rv = p11->C_GetAttributeValue(session, public_key, &modulus, 1);
  work->modulus_bytes = modulus.ulValueLen;
  return rv;
}

bool token_generate_rsa(unsigned modulus_bits, const BIGNUM *exponent, CK_OBJECT_HANDLE *private_key, BIGNUM **modulus)
{
  struct generation work = {.modulus_bits = modulus_bits};
  int exponent_bytes = BN_num_bytes(exponent);
  if (exponent_bytes <= 0 || (size_t)exponent_bytes > sizeof work.exponent) {
    engine_error(REASON_CALL, "C_GenerateKeyPair: the public exponent", CKR_TEMPLATE_INCONSISTENT);
    return false;
  }
  work.exponent_bytes = (CK_ULONG)BN_bn2bin(exponent, work.exponent);
  if (!with_session("C_GenerateKeyPair", generate_rsa, &work)) return false;
  *private_key = work.private_key;
  *modulus = BN_bin2bn(work.modulus, (int)work.modulus_bytes, NULL);
  return *modulus != NULL;
}
