// From numbers and points to EVP_PKEY and back.
#pragma once

#include <array>
#include <vector>

#include "bytes.h"
#include "curves.h"
#include "key-formats.h"
#include "openssl.h"

namespace crypto {

// A list of OSSL_PARAM that owns and cleanses its values, which OSSL_PARAM_BLD of OpenSSL 3.0 does not.
class Params {
 public:
  Params& number(const char* name, View bigEndian);
  Params& octets(const char* name, View bytes);
  Params& text(const char* name, const char* value);  // `value` must outlive the list
  Params& integer(const char* name, int value);
  const OSSL_PARAM* list();  // valid until the next addition

 private:
  OSSL_PARAM* add();
  std::vector<OSSL_PARAM> params_;
  std::vector<Bytes> values_;
};

// OpenSSL's own limits; a larger modulus only keeps a thread busy.
constexpr int minimumRsaBits = 512;
constexpr int maximumRsaBits = 16384;

// In the order of RsaPart.
extern const char* const rsaParameterNames[rsaPartCount];

Pkey rsaPublicPkey(View modulus, View exponent);
Pkey rsaPrivatePkey(const std::array<View, rsaPartCount>& numbers);
Pkey ecPublicPkey(const Curve& curve, View uncompressedPoint);
Pkey ecPrivatePkey(const Curve& curve, View scalar, View uncompressedPoint);

// A number of a key, big-endian without leading zeros, or padded to `length` when that is not zero.
Bytes numberOf(const Pkey& key, const char* name, std::size_t maximumLength, std::size_t length = 0);

Bytes bytesOf(const Number& number);                      // big-endian without leading zeros
Bytes bytesOf(const Number& number, std::size_t length);  // big-endian, padded with zeros in front
Number numberFrom(View bigEndian);

}  // namespace crypto
