// PKCS#8 PrivateKeyInfo (RFC 5208, RFC 5958) and SubjectPublicKeyInfo (RFC 5280), with RSA contents as in RFC
// 8017 appendix A.1 and EC contents as in RFC 5915 and RFC 5480. Everything throws InvalidKey on malformed
// input and Unsupported on other algorithms, curves and explicit curve parameters.
#pragma once

#include <array>
#include <optional>
#include <variant>

#include "bytes.h"
#include "curves.h"

namespace crypto {

// Row numbers of the eight numbers of an RSA private key, in the order of RFC 8017.
enum RsaPart { rsaN, rsaE, rsaD, rsaP, rsaQ, rsaDp, rsaDq, rsaQinv, rsaPartCount };

// Views into the parsed DER.
struct RsaPublicParts {
  View modulus, exponent;
};
struct RsaPrivateParts {
  std::array<View, rsaPartCount> numbers;
};
struct EcPublicParts {
  const Curve* curve;
  View point;
};
struct EcPrivateParts {
  const Curve* curve;
  View scalar;
  std::optional<View> point;
};

std::variant<RsaPublicParts, EcPublicParts> parsePublicKeyInfo(View spki);
std::variant<RsaPrivateParts, EcPrivateParts> parsePrivateKeyInfo(View pkcs8);

Bytes rsaPublicKeyInfo(View modulus, View exponent);
Bytes rsaPrivateKeyInfo(const std::array<View, rsaPartCount>& numbers);
Bytes ecPublicKeyInfo(const Curve& curve, View uncompressedPoint);
Bytes ecPrivateKeyInfo(const Curve& curve, View paddedScalar, View uncompressedPoint);

}  // namespace crypto
