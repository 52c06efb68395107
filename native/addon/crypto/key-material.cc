#include "key-material.h"

#include "curves.h"
#include "failure.h"
#include "key-formats.h"
#include "pkey.h"
#include "rsa-numbers.h"

namespace crypto {

namespace {

template <typename Parts, typename Parsed>
const Parts& partsOf(const Parsed& parsed) {
  const Parts* parts = std::get_if<Parts>(&parsed);
  if (parts == nullptr) fail(FailureCode::InvalidKey, "the key is of the other type");
  return *parts;
}

// rsaPrivateKeyInfo(n, e, d, p?, q?, dP?, dQ?, qInv?) -> PKCS#8
Napi::Value rsaPrivateKeyInfoJs(const Napi::CallbackInfo& info) {
  RsaNumbers numbers;
  for (std::size_t part = 0; part < rsaPartCount; part++) {
    if (!info[part].IsUndefined()) numbers[part] = numberFrom(viewOf(info[part]));
  }
  completeRsaNumbers(numbers);
  std::array<Bytes, rsaPartCount> bytes;
  std::array<View, rsaPartCount> views{};
  for (std::size_t part = 0; part < rsaPartCount; part++) {
    bytes[part] = bytesOf(numbers[part]);
    views[part] = bytes[part].view();
  }
  return toJs(info.Env(), rsaPrivateKeyInfo(views));
}

// rsaPublicKeyInfo(n, e) -> SPKI; the numbers are checked by making a key of them
Napi::Value rsaPublicKeyInfoJs(const Napi::CallbackInfo& info) {
  const View modulus = viewOf(info[0]);
  const View exponent = viewOf(info[1]);
  rsaPublicPkey(modulus, exponent);
  return toJs(info.Env(), rsaPublicKeyInfo(modulus, exponent));
}

// rsaPrivateComponents(pkcs8) -> [n, e, d, p, q, dP, dQ, qInv]
Napi::Value rsaPrivateComponents(const Napi::CallbackInfo& info) {
  const auto parsed = parsePrivateKeyInfo(viewOf(info[0]));
  const auto& parts = partsOf<RsaPrivateParts>(parsed);
  for (const View& number : parts.numbers) {
    if (number.length == 0) fail(FailureCode::InvalidKey, "the RSA key lacks a number");
  }
  return arrayOf(info.Env(), parts.numbers);
}

// rsaPublicComponents(spki) -> [n, e]
Napi::Value rsaPublicComponents(const Napi::CallbackInfo& info) {
  const auto parsed = parsePublicKeyInfo(viewOf(info[0]));
  const auto& parts = partsOf<RsaPublicParts>(parsed);
  return arrayOf<2>(info.Env(), {parts.modulus, parts.exponent});
}

// ecPrivateKeyInfo(curveRow, scalar) -> PKCS#8
Napi::Value ecPrivateKeyInfoJs(const Napi::CallbackInfo& info) {
  const Curve& curve = curveAt(info[0].As<Napi::Number>().Uint32Value());
  const Number scalar = scalarOf(curve, viewOf(info[1]));
  const Bytes padded = bytesOf(scalar, curve.orderLengthBytes);
  return toJs(info.Env(), ecPrivateKeyInfo(curve, padded.view(), publicPointOf(curve, scalar).view()));
}

// ecPublicKeyInfo(curveRow, point) -> SPKI
Napi::Value ecPublicKeyInfoJs(const Napi::CallbackInfo& info) {
  const Curve& curve = curveAt(info[0].As<Napi::Number>().Uint32Value());
  return toJs(info.Env(), ecPublicKeyInfo(curve, uncompressedPoint(curve, viewOf(info[1])).view()));
}

// ecPrivateComponents(pkcs8) -> [curve OID, scalar, point]; a point inside the key must belong to the scalar
Napi::Value ecPrivateComponents(const Napi::CallbackInfo& info) {
  const auto parsed = parsePrivateKeyInfo(viewOf(info[0]));
  const auto& parts = partsOf<EcPrivateParts>(parsed);
  const Number scalar = scalarOf(*parts.curve, parts.scalar);
  const Bytes padded = bytesOf(scalar, parts.curve->orderLengthBytes);
  const Bytes point = publicPointOf(*parts.curve, scalar);
  if (parts.point) {
    const Bytes inside = uncompressedPoint(*parts.curve, *parts.point);
    if (CRYPTO_memcmp(inside.view().data, point.view().data, point.length()) != 0) {
      fail(FailureCode::InvalidKey, "the public point does not belong to the private value");
    }
  }
  return arrayOf<3>(info.Env(), {parts.curve->oid, padded.view(), point.view()});
}

// ecPublicComponents(spki) -> [curve OID, point]
Napi::Value ecPublicComponents(const Napi::CallbackInfo& info) {
  const auto parsed = parsePublicKeyInfo(viewOf(info[0]));
  const auto& parts = partsOf<EcPublicParts>(parsed);
  const Bytes point = uncompressedPoint(*parts.curve, parts.point);
  return arrayOf<2>(info.Env(), {parts.curve->oid, point.view()});
}

}  // namespace

void exportKeyMaterial(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, const Napi::Function& function) { exports.Set(name, function); };
  add("rsaPrivateKeyInfo", Napi::Function::New<guarded<rsaPrivateKeyInfoJs>>(env));
  add("rsaPublicKeyInfo", Napi::Function::New<guarded<rsaPublicKeyInfoJs>>(env));
  add("rsaPrivateComponents", Napi::Function::New<guarded<rsaPrivateComponents>>(env));
  add("rsaPublicComponents", Napi::Function::New<guarded<rsaPublicComponents>>(env));
  add("ecPrivateKeyInfo", Napi::Function::New<guarded<ecPrivateKeyInfoJs>>(env));
  add("ecPublicKeyInfo", Napi::Function::New<guarded<ecPublicKeyInfoJs>>(env));
  add("ecPrivateComponents", Napi::Function::New<guarded<ecPrivateComponents>>(env));
  add("ecPublicComponents", Napi::Function::New<guarded<ecPublicComponents>>(env));
}

}  // namespace crypto
