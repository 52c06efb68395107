#include "generate.h"

#include "curves.h"
#include "failure.h"
#include "key-formats.h"
#include "pkey.h"
#include "rsa-search.h"
#include "work.h"

namespace crypto {

namespace {

struct KeyPair {
  Bytes pkcs8, spki;
};

Pkey generate(const PkeyContext& context) {
  EVP_PKEY* key = nullptr;
  require(EVP_PKEY_generate(context.get(), &key), "the key generation failed");
  return Pkey(key);
}

KeyPair generateRsa(int modulusBits, const Number& exponent) {
  const Pkey key = searchRsaKey(modulusBits, exponent);
  std::array<Bytes, rsaPartCount> numbers;
  std::array<View, rsaPartCount> views{};
  for (std::size_t part = 0; part < rsaPartCount; part++) {
    numbers[part] = numberOf(key, rsaParameterNames[part], static_cast<std::size_t>(modulusBits + 7) / 8);
    views[part] = numbers[part].view();
  }
  return {rsaPrivateKeyInfo(views), rsaPublicKeyInfo(views[rsaN], views[rsaE])};
}

KeyPair generateEc(const Curve& curve) {
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  Params params;
  params.text(OSSL_PKEY_PARAM_GROUP_NAME, curve.opensslName);
  require(context ? EVP_PKEY_keygen_init(context.get()) : 0, "the key generation failed");
  require(EVP_PKEY_CTX_set_params(context.get(), params.list()), "the curve was refused");
  const Pkey key = generate(context);
  const Bytes scalar =
      numberOf(key, OSSL_PKEY_PARAM_PRIV_KEY, curve.orderLengthBytes, curve.orderLengthBytes);
  Bytes point(1 + 2 * curve.fieldLengthBytes());
  std::size_t length = 0;
  require(EVP_PKEY_get_octet_string_param(key.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.length(),
                                          &length),
          "the key generation failed");
  const Bytes uncompressed = uncompressedPoint(curve, {point.view().data, length});
  return {ecPrivateKeyInfo(curve, scalar.view(), uncompressed.view()),
          ecPublicKeyInfo(curve, uncompressed.view())};
}

Napi::Value toJs(Napi::Env env, const KeyPair& pair) {
  return arrayOf<2>(env, {pair.pkcs8.view(), pair.spki.view()});
}

// generateRsaKeyPair(modulusBits, publicExponent) -> promise of [PKCS#8, SPKI]
Napi::Value generateRsaKeyPair(const Napi::CallbackInfo& info) {
  const std::uint32_t bits = info[0].As<Napi::Number>().Uint32Value();
  Number exponent = numberFrom(viewOf(info[1]));
  if (bits < minimumRsaBits || bits > maximumRsaBits)
    fail(FailureCode::Unsupported, "the modulus length is not supported");
  if (!BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) ||
      BN_num_bits(exponent.get()) >= static_cast<int>(bits)) {
    fail(FailureCode::Unsupported, "the public exponent must be odd, above 1 and below the modulus");
  }
  return run(info.Env(), RunOn::WorkerThread, [bits, exponent = std::move(exponent)] {
    return generateRsa(static_cast<int>(bits), exponent);
  });
}

// generateEcKeyPair(curveRow) -> [PKCS#8, SPKI], or a promise of it
Napi::Value generateEcKeyPair(const Napi::CallbackInfo& info) {
  const Curve& curve = curveAt(info[0].As<Napi::Number>().Uint32Value());
  return run(info.Env(), curve.generate, [&curve] { return generateEc(curve); });
}

}  // namespace

void exportGenerate(Napi::Env env, Napi::Object exports) {
  exports.Set("generateRsaKeyPair", Napi::Function::New<guarded<generateRsaKeyPair>>(env));
  exports.Set("generateEcKeyPair", Napi::Function::New<guarded<generateEcKeyPair>>(env));
}

}  // namespace crypto
