#include "keys.h"

#include <algorithm>

#include "key-formats.h"
#include "pkey.h"

namespace crypto {

namespace {

[[noreturn]] void destroyed() {
  fail(FailureCode::InvalidKey, "the key was destroyed");
}

}  // namespace

Napi::Function AsymmetricKey::define(Napi::Env env) {
  using Key = AsymmetricKey;
  return DefineClass(env, "AsymmetricKey",
                     {
                         InstanceAccessor<&Key::type>("type"),
                         InstanceAccessor<&Key::isPrivate>("isPrivate"),
                         InstanceAccessor<&Key::bits>("bits"),
                         InstanceAccessor<&Key::curveName>("curve"),
                         InstanceMethod<&Key::destroy>("destroy"),
                         InstanceMethod<&Key::guarded<&Key::rsaSign>>("rsaSign"),
                         InstanceMethod<&Key::guarded<&Key::rsaVerify>>("rsaVerify"),
                         InstanceMethod<&Key::guarded<&Key::rsaEncrypt>>("rsaEncrypt"),
                         InstanceMethod<&Key::guarded<&Key::rsaDecrypt>>("rsaDecrypt"),
                         InstanceMethod<&Key::guarded<&Key::ecdsaSign>>("ecdsaSign"),
                         InstanceMethod<&Key::guarded<&Key::ecdsaVerify>>("ecdsaVerify"),
                         InstanceMethod<&Key::guarded<&Key::ecdhDerive>>("ecdhDerive"),
                         InstanceMethod<&Key::guarded<&Key::repeatableRsa>>("repeatableRsa"),
                         InstanceMethod<&Key::guarded<&Key::repeatableEcdsa>>("repeatableEcdsa"),
                     });
}

AsymmetricKey::AsymmetricKey(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  withJsErrors(info.Env(), [&] {
    const View der = viewOf(info[0]);
    isPrivate_ = info[1].ToBoolean();
    if (isPrivate_) {
      parsePrivate(der);
    } else {
      parsePublic(der);
    }
    bits_ = curve_ == nullptr ? static_cast<std::size_t>(EVP_PKEY_get_bits(pkey_.get())) : curve_->fieldBits;
  });
}

void AsymmetricKey::parsePublic(View spki) {
  const auto parsed = parsePublicKeyInfo(spki);
  if (const auto* parts = std::get_if<RsaPublicParts>(&parsed)) {
    pkey_ = rsaPublicPkey(parts->modulus, parts->exponent);
    return;
  }
  const auto& parts = std::get<EcPublicParts>(parsed);
  curve_ = parts.curve;
  pkey_ = ecPublicPkey(*curve_, uncompressedPoint(*curve_, parts.point).view());
}

// A public point inside the key is believed once it is on the curve; checking that it belongs to the scalar
// costs as much as a signature and is done where keys come in from outside (ecPrivateComponents).
void AsymmetricKey::parsePrivate(View pkcs8) {
  const auto parsed = parsePrivateKeyInfo(pkcs8);
  if (const auto* parts = std::get_if<RsaPrivateParts>(&parsed)) {
    pkey_ = rsaPrivatePkey(parts->numbers);
    return;
  }
  const auto& parts = std::get<EcPrivateParts>(parsed);
  curve_ = parts.curve;
  const Number scalar = scalarOf(*curve_, parts.scalar);
  const Bytes point = parts.point ? uncompressedPoint(*curve_, *parts.point) : publicPointOf(*curve_, scalar);
  pkey_ = ecPrivatePkey(*curve_, bytesOf(scalar, curve_->orderLengthBytes).view(), point.view());
}

Napi::Value AsymmetricKey::destroy(const Napi::CallbackInfo& info) {
  for (const auto& lent : lent_) {
    if (const auto contexts = lent.lock()) contexts->end();
  }
  lent_.clear();
  signContexts_.reset();
  verifyContexts_.reset();
  pkey_.reset();  // OpenSSL cleanses the private numbers with the last reference
  return info.Env().Undefined();
}

std::shared_ptr<PkeyContexts> AsymmetricKey::contextsFor(std::function<PkeyContext()> make) {
  const auto isGone = [](const std::weak_ptr<PkeyContexts>& lent) { return lent.expired(); };
  lent_.erase(std::remove_if(lent_.begin(), lent_.end(), isGone), lent_.end());
  auto contexts = std::make_shared<PkeyContexts>(std::move(make));
  lent_.push_back(contexts);
  return contexts;
}

Napi::Value AsymmetricKey::type(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), curve_ == nullptr ? "rsa" : "ec");
}

Napi::Value AsymmetricKey::isPrivate(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), isPrivate_);
}

Napi::Value AsymmetricKey::bits(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(bits_));
}

Napi::Value AsymmetricKey::curveName(const Napi::CallbackInfo& info) {
  if (curve_ == nullptr) return info.Env().Undefined();
  return Napi::String::New(info.Env(), curve_->name);
}

const Pkey& AsymmetricKey::rsa(bool needsPrivate) const {
  if (!pkey_) destroyed();
  if (curve_ != nullptr) fail(FailureCode::InvalidKey, "not an RSA key");
  if (needsPrivate && !isPrivate_) fail(FailureCode::InvalidKey, "not a private key");
  return pkey_;
}

const Pkey& AsymmetricKey::ec(bool needsPrivate) const {
  if (!pkey_) destroyed();
  if (curve_ == nullptr) fail(FailureCode::InvalidKey, "not an EC key");
  if (needsPrivate && !isPrivate_) fail(FailureCode::InvalidKey, "not a private key");
  return pkey_;
}

Napi::Function SecretKey::define(Napi::Env env) {
  using Key = SecretKey;
  return DefineClass(env, "SecretKey",
                     {
                         InstanceAccessor<&Key::lengthBytes>("lengthBytes"),
                         InstanceMethod<&Key::destroy>("destroy"),
                         InstanceMethod<&Key::guarded<&Key::cipher>>("cipher"),
                         InstanceMethod<&Key::guarded<&Key::gcmEncrypt>>("gcmEncrypt"),
                         InstanceMethod<&Key::guarded<&Key::gcmSeal>>("gcmSeal"),
                         InstanceMethod<&Key::guarded<&Key::gcmDecrypt>>("gcmDecrypt"),
                         InstanceMethod<&Key::guarded<&Key::wrap>>("wrap"),
                         InstanceMethod<&Key::guarded<&Key::wrapLater>>("wrapLater"),
                         InstanceMethod<&Key::guarded<&Key::hmac>>("hmac"),
                         InstanceMethod<&Key::guarded<&Key::cmac>>("cmac"),
                         InstanceMethod<&Key::guarded<&Key::repeatableGcm>>("repeatableGcm"),
                         InstanceMethod<&Key::guarded<&Key::repeatableCipher>>("repeatableCipher"),
                         InstanceMethod<&Key::guarded<&Key::repeatableHmac>>("repeatableHmac"),
                         InstanceMethod<&Key::guarded<&Key::repeatableCmac>>("repeatableCmac"),
                     });
}

SecretKey::SecretKey(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  withJsErrors(info.Env(), [&] {
    const View bytes = viewOf(info[0]);
    if (bytes.length == 0) fail(FailureCode::InvalidKey, "a secret key has at least one byte");
    bytes_ = Bytes(bytes);
    lengthBytes_ = bytes.length;
  });
}

Napi::Value SecretKey::destroy(const Napi::CallbackInfo& info) {
  bytes_ = Bytes();
  contexts_.reset();
  return info.Env().Undefined();
}

Napi::Value SecretKey::lengthBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(lengthBytes_));
}

KeyedContexts& SecretKey::contexts() {
  if (bytes_.length() == 0) destroyed();
  if (!contexts_) contexts_ = std::make_shared<KeyedContexts>();
  return *contexts_;
}

}  // namespace crypto
