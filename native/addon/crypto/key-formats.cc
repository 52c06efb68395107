#include "key-formats.h"

#include <cstring>

#include "der.h"
#include "failure.h"

namespace crypto {

namespace {

// rsaEncryption 1.2.840.113549.1.1.1 and id-ecPublicKey 1.2.840.10045.2.1, whole elements.
const unsigned char rsaOid[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
const unsigned char ecOid[] = {0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
const unsigned char nullElement[] = {0x05, 0x00};
const unsigned char version0[] = {0x02, 0x01, 0x00};
const unsigned char version1[] = {0x02, 0x01, 0x01};

template <std::size_t N>
View viewOfArray(const unsigned char (&bytes)[N]) {
  return {bytes, N};
}

bool same(View a, View b) {
  return a.length == b.length && std::memcmp(a.data, b.data, a.length) == 0;
}

// The AlgorithmIdentifier: the curve, or null for RSA.
const Curve* takeAlgorithm(DerReader& reader) {
  DerReader algorithm = reader.enter(derSequence);
  const View oid = algorithm.takeWhole(derObjectIdentifier);
  if (same(oid, viewOfArray(rsaOid))) {
    algorithm.skipOptional(derNull);
    algorithm.expectEnd();
    return nullptr;
  }
  if (!same(oid, viewOfArray(ecOid))) fail(FailureCode::Unsupported, "neither an RSA nor an EC key");
  if (!algorithm.nextIs(derObjectIdentifier))
    fail(FailureCode::Unsupported, "only named curves are supported");
  const Curve& curve = curveOfOid(algorithm.takeWhole(derObjectIdentifier));
  algorithm.expectEnd();
  return &curve;
}

RsaPrivateParts parseRsaPrivate(View bytes) {
  DerReader outer(bytes);
  DerReader reader = outer.enter(derSequence);
  outer.expectEnd();
  if (reader.takeNumber().length != 0) fail(FailureCode::Unsupported, "multi-prime RSA is not supported");
  RsaPrivateParts parts{};
  for (View& number : parts.numbers) number = reader.takeNumber();
  reader.expectEnd();
  return parts;
}

EcPrivateParts parseEcPrivate(const Curve& curve, View bytes) {
  DerReader outer(bytes);
  DerReader reader = outer.enter(derSequence);
  outer.expectEnd();
  const View version = reader.takeNumber();
  if (version.length != 1 || version.data[0] != 1)
    fail(FailureCode::InvalidKey, "unknown ECPrivateKey version");
  EcPrivateParts parts{&curve, reader.take(derOctetString), std::nullopt};
  if (reader.nextIs(derContext0)) {
    DerReader parameters = reader.enter(derContext0);
    if (!same(parameters.takeWhole(derObjectIdentifier), curve.oid)) {
      fail(FailureCode::InvalidKey, "the key names two curves");
    }
    parameters.expectEnd();
  }
  if (reader.nextIs(derContext1)) {
    DerReader point = reader.enter(derContext1);
    parts.point = point.takeBitString();
    point.expectEnd();
  }
  reader.expectEnd();
  return parts;
}

}  // namespace

std::variant<RsaPublicParts, EcPublicParts> parsePublicKeyInfo(View spki) {
  DerReader outer(spki);
  DerReader reader = outer.enter(derSequence);
  outer.expectEnd();
  const Curve* curve = takeAlgorithm(reader);
  const View key = reader.takeBitString();
  reader.expectEnd();
  if (curve != nullptr) return EcPublicParts{curve, key};
  DerReader keyOuter(key);
  DerReader numbers = keyOuter.enter(derSequence);
  keyOuter.expectEnd();
  const View modulus = numbers.takeNumber();
  const View exponent = numbers.takeNumber();
  numbers.expectEnd();
  return RsaPublicParts{modulus, exponent};
}

std::variant<RsaPrivateParts, EcPrivateParts> parsePrivateKeyInfo(View pkcs8) {
  DerReader outer(pkcs8);
  DerReader reader = outer.enter(derSequence);
  outer.expectEnd();
  const View version = reader.takeNumber();
  if (version.length > 1) fail(FailureCode::InvalidKey, "unknown PrivateKeyInfo version");
  const Curve* curve = takeAlgorithm(reader);
  const View key = reader.take(derOctetString);
  reader.skipOptional(derContext0);  // attributes
  reader.skipOptional(0x81);         // OneAsymmetricKey's copy of the public key (RFC 5958)
  reader.expectEnd();
  if (curve != nullptr) return parseEcPrivate(*curve, key);
  return parseRsaPrivate(key);
}

Bytes rsaPublicKeyInfo(View modulus, View exponent) {
  const Bytes n = derNumber(modulus);
  const Bytes e = derNumber(exponent);
  const Bytes key = derElement(derSequence, {n.view(), e.view()});
  const Bytes algorithm = derElement(derSequence, {viewOfArray(rsaOid), viewOfArray(nullElement)});
  const Bytes bits = derBitStringOf(key.view());
  return derElement(derSequence, {algorithm.view(), bits.view()});
}

Bytes rsaPrivateKeyInfo(const std::array<View, rsaPartCount>& numbers) {
  std::array<Bytes, rsaPartCount> n;
  for (std::size_t part = 0; part < rsaPartCount; part++) n[part] = derNumber(numbers[part]);
  const Bytes key = derElement(
      derSequence, {viewOfArray(version0), n[rsaN].view(), n[rsaE].view(), n[rsaD].view(), n[rsaP].view(),
                    n[rsaQ].view(), n[rsaDp].view(), n[rsaDq].view(), n[rsaQinv].view()});
  const Bytes algorithm = derElement(derSequence, {viewOfArray(rsaOid), viewOfArray(nullElement)});
  const Bytes wrapped = derElement(derOctetString, {key.view()});
  return derElement(derSequence, {viewOfArray(version0), algorithm.view(), wrapped.view()});
}

Bytes ecPublicKeyInfo(const Curve& curve, View uncompressedPoint) {
  const Bytes algorithm = derElement(derSequence, {viewOfArray(ecOid), curve.oid});
  const Bytes bits = derBitStringOf(uncompressedPoint);
  return derElement(derSequence, {algorithm.view(), bits.view()});
}

Bytes ecPrivateKeyInfo(const Curve& curve, View paddedScalar, View uncompressedPoint) {
  const Bytes scalar = derElement(derOctetString, {paddedScalar});
  const Bytes bits = derBitStringOf(uncompressedPoint);
  const Bytes point = derElement(derContext1, {bits.view()});
  const Bytes key = derElement(derSequence, {viewOfArray(version1), scalar.view(), point.view()});
  const Bytes algorithm = derElement(derSequence, {viewOfArray(ecOid), curve.oid});
  const Bytes wrapped = derElement(derOctetString, {key.view()});
  return derElement(derSequence, {viewOfArray(version0), algorithm.view(), wrapped.view()});
}

}  // namespace crypto
