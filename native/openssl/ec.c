#include "engine.h"

/* P-521's; CloudHSM's engine signs with P-256, P-384 and secp256k1 keys. */
#define MOST_ORDER_BYTES 66

typedef int sign_function(int, const unsigned char *, int, unsigned char *, unsigned int *, const BIGNUM *, const BIGNUM *,
                          EC_KEY *);
typedef ECDSA_SIG *sign_numbers_function(const unsigned char *, int, const BIGNUM *, const BIGNUM *, EC_KEY *);
typedef int setup_function(EC_KEY *, BN_CTX *, BIGNUM **, BIGNUM **);
typedef int agree_function(unsigned char **, size_t *, const EC_POINT *, const EC_KEY *);

static sign_function *software_sign;
static sign_numbers_function *software_sign_numbers;
static setup_function *software_setup;
static agree_function *software_agree;

static bool is_reference(const EC_KEY *ec, CK_OBJECT_HANDLE *key)
{
  return reference_read(EC_KEY_get0_private_key(ec), key);
}

static ECDSA_SIG *sign_numbers_in_hsm(const unsigned char *hash, size_t hash_bytes, const EC_KEY *ec, CK_OBJECT_HANDLE key)
{
  size_t order_bytes = ((size_t)EC_GROUP_order_bits(EC_KEY_get0_group(ec)) + 7) / 8;
  unsigned char numbers[2 * MOST_ORDER_BYTES];
  size_t length = sizeof numbers;
  /* As OpenSSL does: of a longer hash only the beginning counts (FIPS 186-5, section 6.4.1). */
  if (hash_bytes > order_bytes) hash_bytes = order_bytes;
  if (!token_sign(CKM_ECDSA, key, hash, hash_bytes, numbers, &length) || length != 2 * order_bytes) return NULL;
  ECDSA_SIG *signature = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(numbers, (int)order_bytes, NULL);
  BIGNUM *s = BN_bin2bn(numbers + order_bytes, (int)order_bytes, NULL);
  if (signature != NULL && r != NULL && s != NULL && ECDSA_SIG_set0(signature, r, s)) return signature;
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(signature);
  return NULL;
}

static ECDSA_SIG *sign_numbers(const unsigned char *hash, int hash_bytes, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
  CK_OBJECT_HANDLE key;
  if (!is_reference(ec, &key)) return software_sign_numbers(hash, hash_bytes, kinv, r, ec);
  return hash_bytes < 0 ? NULL : sign_numbers_in_hsm(hash, (size_t)hash_bytes, ec, key);
}

static int sign(int type, const unsigned char *hash, int hash_bytes, unsigned char *to, unsigned int *length,
                const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
  CK_OBJECT_HANDLE key;
  *length = 0;
  if (!is_reference(ec, &key)) return software_sign(type, hash, hash_bytes, to, length, kinv, r, ec);
  ECDSA_SIG *signature = hash_bytes < 0 ? NULL : sign_numbers_in_hsm(hash, (size_t)hash_bytes, ec, key);
  int encoded = signature == NULL ? -1 : i2d_ECDSA_SIG(signature, &to);
  ECDSA_SIG_free(signature);
  if (encoded <= 0) return 0;
  *length = (unsigned)encoded;
  return 1;
}

static int setup(EC_KEY *ec, BN_CTX *context, BIGNUM **kinv, BIGNUM **r)
{
  CK_OBJECT_HANDLE key;
  if (!is_reference(ec, &key)) return software_setup(ec, context, kinv, r);
  engine_error(REASON_STAYS_IN_HSM, "ECDSA_sign_setup", CKR_OK);
  return 0;
}

static int agree(unsigned char **secret, size_t *length, const EC_POINT *peer, const EC_KEY *ec)
{
  CK_OBJECT_HANDLE key;
  if (!is_reference(ec, &key)) return software_agree(secret, length, peer, ec);
  engine_error(REASON_STAYS_IN_HSM, "ECDH", CKR_OK);
  return 0;
}

EC_KEY_METHOD *ec_method(void)
{
  static EC_KEY_METHOD *method;
  if (method != NULL) return method;
  method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
  if (method == NULL) return NULL;
  EC_KEY_METHOD_get_sign(method, &software_sign, &software_setup, &software_sign_numbers);
  EC_KEY_METHOD_get_compute_key(method, &software_agree);
  EC_KEY_METHOD_set_sign(method, sign, setup, sign_numbers);
  EC_KEY_METHOD_set_compute_key(method, agree);
  return method;
}
