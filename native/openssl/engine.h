/* CloudHSM's OpenSSL dynamic engine: RSA and EC keys whose key file refers to the HSM sign there, all others as without it
 * (reference management-tools, section 9). Its only way to the HSM is the PKCS#11 module beside it. */
#ifndef CLOUDHSM_LOCAL_ENGINE_H
#define CLOUDHSM_LOCAL_ENGINE_H

/* Node's headers and the system's alike: OpenSSL 3 calls all that engines need deprecated. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/rsa.h>
#include <stdbool.h>

#include "cryptoki.h"

enum reason {
  REASON_NO_MODULE = 100,
  REASON_NO_PIN,
  REASON_CALL,
  REASON_STAYS_IN_HSM,
  REASON_PADDING,
};

/* Puts an error where OpenSSL's callers look for it: `call` is what failed, with its CK_RV or 0. */
void engine_error(enum reason reason, const char *call, CK_RV rv);

/* RSA_METHOD and EC_KEY_METHOD; NULL without memory. */
RSA_METHOD *rsa_method(void);
EC_KEY_METHOD *ec_method(void);

/* Whether a private number is a reference to a key of the HSM, and to which. src/tools/reference-pem.ts writes it. */
bool reference_read(const BIGNUM *number, CK_OBJECT_HANDLE *key);

/* The number that refers to a key; NULL without memory. */
BIGNUM *reference_write(CK_OBJECT_HANDLE key);

/* Gets ready for forks; the HSM is reached by the first call that needs it. */
bool token_prepare(void);

/* Signs with a key of the HSM. `*signature_bytes` is the room, then the length. */
bool token_sign(CK_MECHANISM_TYPE mechanism, CK_OBJECT_HANDLE key, const unsigned char *input, size_t input_bytes,
                unsigned char *signature, size_t *signature_bytes);

/* Makes an RSA token key pair; `*modulus` is the caller's to free. */
bool token_generate_rsa(unsigned modulus_bits, const BIGNUM *exponent, CK_OBJECT_HANDLE *private_key, BIGNUM **modulus);

#endif
