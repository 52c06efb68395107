#include "pkey.h"

#include <algorithm>

#include "failure.h"

namespace crypto {

namespace {

Pkey pkeyFrom(const char* type, int selection, Params& params) {
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  // EVP_PKEY_fromdata only reads the parameters, whatever its signature says.
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, selection, const_cast<OSSL_PARAM*>(params.list())) != 1) {
    fail(FailureCode::InvalidKey, "the key is not valid");
  }
  return Pkey(key);
}

void checkRsaPublic(View modulus, View exponent) {
  const Number n = numberFrom(modulus);
  const Number e = numberFrom(exponent);
  if (BN_num_bits(n.get()) < minimumRsaBits || BN_num_bits(n.get()) > maximumRsaBits || !BN_is_odd(n.get()) ||
      !BN_is_odd(e.get()) || BN_is_one(e.get()) || BN_cmp(e.get(), n.get()) >= 0) {
    fail(FailureCode::InvalidKey, "the RSA modulus or public exponent is not valid");
  }
}

}  // namespace

OSSL_PARAM* Params::add() {
  params_.emplace_back();
  return &params_.back();
}

Params& Params::number(const char* name, View bigEndian) {
  Bytes native(std::max<std::size_t>(bigEndian.length, 1));
  native.data()[0] = 0;
  std::copy_n(bigEndian.data, bigEndian.length, native.data());
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  std::reverse(native.data(), native.data() + native.length());
#endif
  values_.push_back(std::move(native));
  *add() = OSSL_PARAM_construct_BN(name, values_.back().data(), values_.back().length());
  return *this;
}

Params& Params::octets(const char* name, View bytes) {
  values_.emplace_back(bytes);
  *add() = OSSL_PARAM_construct_octet_string(name, values_.back().data(), bytes.length);
  return *this;
}

Params& Params::text(const char* name, const char* value) {
  *add() = OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
  return *this;
}

Params& Params::integer(const char* name, int value) {
  values_.emplace_back(View{reinterpret_cast<const unsigned char*>(&value), sizeof value});
  *add() = OSSL_PARAM_construct_int(name, reinterpret_cast<int*>(values_.back().data()));
  return *this;
}

const OSSL_PARAM* Params::list() {
  if (params_.empty() || params_.back().key != nullptr) *add() = OSSL_PARAM_construct_end();
  return params_.data();
}

const char* const rsaParameterNames[rsaPartCount] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,
    OSSL_PKEY_PARAM_RSA_D,         OSSL_PKEY_PARAM_RSA_FACTOR1,
    OSSL_PKEY_PARAM_RSA_FACTOR2,   OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

Pkey rsaPublicPkey(View modulus, View exponent) {
  checkRsaPublic(modulus, exponent);
  Params params;
  params.number(OSSL_PKEY_PARAM_RSA_N, modulus).number(OSSL_PKEY_PARAM_RSA_E, exponent);
  return pkeyFrom("RSA", EVP_PKEY_PUBLIC_KEY, params);
}

Pkey rsaPrivatePkey(const std::array<View, rsaPartCount>& numbers) {
  checkRsaPublic(numbers[rsaN], numbers[rsaE]);
  Params params;
  for (std::size_t part = 0; part < rsaPartCount; part++) {
    // A zero would make OpenSSL divide by it or read the key as one without a private part.
    if (numbers[part].length == 0) fail(FailureCode::InvalidKey, "the RSA key lacks a number");
    params.number(rsaParameterNames[part], numbers[part]);
  }
  return pkeyFrom("RSA", EVP_PKEY_KEYPAIR, params);
}

Pkey ecPublicPkey(const Curve& curve, View uncompressedPoint) {
  Params params;
  params.text(OSSL_PKEY_PARAM_GROUP_NAME, curve.opensslName)
      .octets(OSSL_PKEY_PARAM_PUB_KEY, uncompressedPoint);
  return pkeyFrom("EC", EVP_PKEY_PUBLIC_KEY, params);
}

Pkey ecPrivatePkey(const Curve& curve, View scalar, View uncompressedPoint) {
  Params params;
  params.text(OSSL_PKEY_PARAM_GROUP_NAME, curve.opensslName)
      .octets(OSSL_PKEY_PARAM_PUB_KEY, uncompressedPoint)
      .number(OSSL_PKEY_PARAM_PRIV_KEY, scalar);
  return pkeyFrom("EC", EVP_PKEY_KEYPAIR, params);
}

Bytes numberOf(const Pkey& key, const char* name, std::size_t maximumLength, std::size_t length) {
  Bytes native(maximumLength);
  OSSL_PARAM params[] = {OSSL_PARAM_construct_BN(name, native.data(), native.length()),
                         OSSL_PARAM_construct_end()};
  require(EVP_PKEY_get_params(key.get(), params), "cannot read a number of the key");
  const Number number(BN_native2bn(native.data(), static_cast<int>(params[0].return_size), nullptr));
  if (!number) fail(FailureCode::OperationFailed, "cannot read a number of the key");
  return length == 0 ? bytesOf(number) : bytesOf(number, length);
}

Bytes bytesOf(const Number& number) {
  return bytesOf(number, static_cast<std::size_t>(BN_num_bytes(number.get())));
}

Bytes bytesOf(const Number& number, std::size_t length) {
  Bytes bytes(length);
  if (BN_bn2binpad(number.get(), bytes.data(), static_cast<int>(length)) < 0) {
    fail(FailureCode::OperationFailed, "a number is longer than expected");
  }
  return bytes;
}

Number numberFrom(View bigEndian) {
  Number number(BN_secure_new());
  if (!number || BN_bin2bn(bigEndian.data, bigEndian.intLength(), number.get()) == nullptr) {
    fail(FailureCode::OperationFailed, "out of memory");
  }
  return number;
}

}  // namespace crypto
