// The curves, and where their operations run.
#pragma once

#include <array>
#include <cstddef>

#include "bytes.h"
#include "openssl.h"
#include "work.h"

namespace crypto {

struct Curve {
  const char* name;  // as in FIPS 186-4 and in CurveName of src/crypto/curves.ts
  const char* opensslName;
  std::size_t fieldBits;
  std::size_t orderLengthBytes;
  View oid;  // DER OBJECT IDENTIFIER, tag and length included
  RunOn sign, verify, derive, generate;

  std::size_t fieldLengthBytes() const { return (fieldBits + 7) / 8; }
  const EC_GROUP* group() const;
};

inline constexpr std::size_t curveCount = 5;
extern const std::array<Curve, curveCount> curves;

// The curve of a row number, of a DER object identifier; both throw Unsupported when there is none.
const Curve& curveAt(std::size_t row);
const Curve& curveOfOid(View oid);

// The scalar as a number; throws InvalidKey unless it is in 1..n-1 (SEC 1 section 3.2.1).
Number scalarOf(const Curve& curve, View scalar);

// scalar * G as 04 || X || Y.
Bytes publicPointOf(const Curve& curve, const Number& scalar);

// Decodes 04 || X || Y or a compressed point and gives it back uncompressed. Throws InvalidPoint when the
// encoding is wrong, the point is not on the curve, or it is the point at infinity. All five curves have
// cofactor 1, so this is the full public key validation of SP 800-56A section 5.6.2.3.
Bytes uncompressedPoint(const Curve& curve, View encoded);

}  // namespace crypto
