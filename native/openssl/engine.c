#include "engine.h"

#include <openssl/err.h>
#include <string.h>

/* `openssl engine -t cloudhsm` shows both. */
#define ENGINE_ID "cloudhsm"
#define ENGINE_NAME "CloudHSM OpenSSL Engine"

static int library;

static ERR_STRING_DATA texts[] = {
    {ERR_PACK(0, 0, REASON_NO_MODULE), "libcloudhsm_pkcs11.so cannot be loaded from the engine's folder"},
    {ERR_PACK(0, 0, REASON_NO_PIN), "CLOUDHSM_PIN is not set: it is user:password of a crypto user"},
    {ERR_PACK(0, 0, REASON_CALL), "a PKCS#11 call failed"},
    {ERR_PACK(0, 0, REASON_STAYS_IN_HSM), "the key is in the HSM, and this engine only signs with it"},
    {ERR_PACK(0, 0, REASON_PADDING), "the engine knows no such padding"},
    {0, NULL},
};

void engine_error(enum reason reason, const char *call, CK_RV rv)
{
  if (rv == CKR_OK)
    ERR_raise_data(library, (int)reason, "%s", call);
  else
    ERR_raise_data(library, (int)reason, "%s: 0x%lx", call, (unsigned long)rv);
}

/* They stay when the engine goes: a program may print its errors last. */
static void load_texts(void)
{
  static ERR_STRING_DATA name[] = {{0, "CloudHSM engine"}, {0, NULL}};
  library = ERR_get_next_error_library();
  name[0].error = ERR_PACK(library, 0, 0);
  ERR_load_strings_const(name);
  ERR_load_strings(library, texts);
}

static int bind(ENGINE *engine, const char *id)
{
  if (id != NULL && strcmp(id, ENGINE_ID) != 0) return 0;
  if (library == 0) load_texts();
  RSA_METHOD *rsa = rsa_method();
  EC_KEY_METHOD *ec = ec_method();
  return rsa != NULL && ec != NULL && token_prepare() && ENGINE_set_id(engine, ENGINE_ID) &&
         ENGINE_set_name(engine, ENGINE_NAME) && ENGINE_set_RSA(engine, rsa) && ENGINE_set_EC(engine, ec);
}

#pragma GCC visibility push(default)
IMPLEMENT_DYNAMIC_BIND_FN(bind)
IMPLEMENT_DYNAMIC_CHECK_FN()
#pragma GCC visibility pop
