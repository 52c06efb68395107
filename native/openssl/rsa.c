#include "engine.h"

static bool is_reference(const RSA *rsa, CK_OBJECT_HANDLE *key)
{
  return reference_read(RSA_get0_d(rsa), key);
}

/* What OpenSSL calls to sign: it has made the DigestInfo, or the whole padding. */
static int private_encrypt(int length, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
  CK_OBJECT_HANDLE key;
  if (!is_reference(rsa, &key)) return RSA_meth_get_priv_enc(RSA_PKCS1_OpenSSL())(length, from, to, rsa, padding);
  if (length < 0 || (padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING)) {
    engine_error(REASON_PADDING, "RSA", CKR_OK);
    return -1;
  }
  size_t signature_bytes = (size_t)RSA_size(rsa);
  CK_MECHANISM_TYPE mechanism = padding == RSA_NO_PADDING ? CKM_RSA_X_509 : CKM_RSA_PKCS;
  if (!token_sign(mechanism, key, from, (size_t)length, to, &signature_bytes)) return -1;
  return (int)signature_bytes;
}

static int private_decrypt(int length, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
  CK_OBJECT_HANDLE key;
  if (!is_reference(rsa, &key)) return RSA_meth_get_priv_dec(RSA_PKCS1_OpenSSL())(length, from, to, rsa, padding);
  engine_error(REASON_STAYS_IN_HSM, "decryption", CKR_OK);
  return -1;
}

static int generate_in_software(RSA *rsa, int modulus_bits, BIGNUM *exponent, BN_GENCB *progress)
{
  RSA *made = RSA_new();
  bool done = made != NULL && RSA_set_method(made, RSA_PKCS1_OpenSSL()) &&
              RSA_generate_key_ex(made, modulus_bits, exponent, progress);
  const BIGNUM *n, *e, *d, *p, *q, *dmp1, *dmq1, *iqmp;
  if (done) {
    RSA_get0_key(made, &n, &e, &d);
    RSA_get0_factors(made, &p, &q);
    RSA_get0_crt_params(made, &dmp1, &dmq1, &iqmp);
    done = RSA_set0_key(rsa, BN_dup(n), BN_dup(e), BN_dup(d)) && RSA_set0_factors(rsa, BN_dup(p), BN_dup(q)) &&
           RSA_set0_crt_params(rsa, BN_dup(dmp1), BN_dup(dmq1), BN_dup(iqmp));
  }
  RSA_free(made);
  return done;
}

static BIGNUM *one(void)
{
  BIGNUM *number = BN_new();
  if (number != NULL) BN_one(number);
  return number;
}

/* `openssl genrsa -engine cloudhsm`: the key is made in the HSM, and what is written is a reference to it. */
static int generate(RSA *rsa, int modulus_bits, BIGNUM *exponent, BN_GENCB *progress)
{
  if (modulus_bits != 2048 && modulus_bits != 3072 && modulus_bits != 4096)
    return generate_in_software(rsa, modulus_bits, exponent, progress);
  CK_OBJECT_HANDLE key;
  BIGNUM *modulus = NULL;
  if (!token_generate_rsa((unsigned)modulus_bits, exponent, &key, &modulus)) return 0;
  if (!RSA_set0_key(rsa, modulus, BN_dup(exponent), reference_write(key))) {
    BN_free(modulus);
    return 0;
  }
  return RSA_set0_factors(rsa, one(), one()) && RSA_set0_crt_params(rsa, one(), one(), one());
}

RSA_METHOD *rsa_method(void)
{
  static RSA_METHOD *method;
  if (method != NULL) return method;
  method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
  if (method == NULL || !RSA_meth_set1_name(method, "CloudHSM RSA") || !RSA_meth_set_priv_enc(method, private_encrypt) ||
      !RSA_meth_set_priv_dec(method, private_decrypt) || !RSA_meth_set_keygen(method, generate))
    return NULL;
  return method;
}
