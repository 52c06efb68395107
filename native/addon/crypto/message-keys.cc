#include "message-keys.h"

#include <openssl/err.h>
#include <openssl/x509.h>

#include <array>

namespace crypto {

namespace {

using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Release<PKCS8_PRIV_KEY_INFO_free>>;
using SignatureAlgorithm = std::unique_ptr<EVP_SIGNATURE, Release<EVP_SIGNATURE_free>>;

// The 50 µs rule of the architecture: Ed25519 signs in about as much, ML-DSA needs several times that.
constexpr std::array<MessageAlgorithm, 4> algorithms{{
    {"ED25519", 64, RunOn::ThisThread},
    {"ML-DSA-44", 2420, RunOn::WorkerThread},
    {"ML-DSA-65", 3309, RunOn::WorkerThread},
    {"ML-DSA-87", 4627, RunOn::WorkerThread},
}};

constexpr const char* muParameter = "mu";  // OSSL_SIGNATURE_PARAM_MU, which OpenSSL 3.0 has no name for

const MessageAlgorithm& algorithmOf(const EVP_PKEY* key) {
  for (const MessageAlgorithm& algorithm : algorithms) {
    if (EVP_PKEY_is_a(key, algorithm.name)) return algorithm;
  }
  fail(FailureCode::Unsupported, "not a key that signs messages whole");
}

MessageForm formOf(const Napi::Value& value) {
  const std::uint32_t number = value.As<Napi::Number>().Uint32Value();
  if (number > static_cast<std::uint32_t>(MessageForm::Mu)) fail(FailureCode::Unsupported, "unknown form");
  return static_cast<MessageForm>(number);
}

SignatureAlgorithm fetched(const char* name) {
  SignatureAlgorithm algorithm(EVP_SIGNATURE_fetch(nullptr, name, nullptr));
  if (!algorithm) ERR_clear_error();
  return algorithm;
}

// OpenSSL passes over parameters it does not know, so each form is looked for before it is used.
bool isAvailable(const MessageAlgorithm& algorithm, MessageForm form) {
  const bool isEdwards = &algorithm == &algorithms[0];
  const SignatureAlgorithm found = fetched(algorithm.name);
  if (!found || form == MessageForm::Pure) return found != nullptr;
  if (form == MessageForm::Mu) {
    return !isEdwards && EVP_SIGNATURE_settable_ctx_params(found.get()) != nullptr &&
           OSSL_PARAM_locate_const(EVP_SIGNATURE_settable_ctx_params(found.get()), muParameter) != nullptr;
  }
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
  return isEdwards && fetched("ED25519ph") != nullptr;
#else
  return false;
#endif
}

// One signature or verification. Ed25519ph goes another way: only there OpenSSL takes the hash and not the message.
class Operation {
 public:
  Operation(const Pkey& key, const MessageAlgorithm& algorithm, MessageForm form, bool signs)
      : prehashed_(form == MessageForm::Prehash) {
    if (!isAvailable(algorithm, form)) fail(FailureCode::Unsupported, "this OpenSSL does not offer the algorithm");
    int mu = 1;
    const OSSL_PARAM params[] = {
        form == MessageForm::Mu ? OSSL_PARAM_construct_int(muParameter, &mu) : OSSL_PARAM_construct_end(),
        OSSL_PARAM_construct_end(),
    };
    if (prehashed_) {
      initPrehashed(key, signs);
      return;
    }
    context_.reset(EVP_MD_CTX_new());
    const auto init = signs ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex;
    require(context_ ? init(context_.get(), nullptr, nullptr, nullptr, nullptr, key.get(), params) : 0,
            "the key was refused");
  }

  Bytes sign(View input, std::size_t signatureBytes) {
    Bytes signature(signatureBytes);
    std::size_t length = signatureBytes;
    require(prehashed_ ? EVP_PKEY_sign(pkeyContext_.get(), signature.data(), &length, input.data, input.length)
                       : EVP_DigestSign(context_.get(), signature.data(), &length, input.data, input.length),
            "the signature failed");
    if (length != signatureBytes) fail(FailureCode::OperationFailed, "the signature has another length");
    return signature;
  }

  bool verify(View input, View given) {
    const int result =
        prehashed_ ? EVP_PKEY_verify(pkeyContext_.get(), given.data, given.length, input.data, input.length)
                   : EVP_DigestVerify(context_.get(), given.data, given.length, input.data, input.length);
    if (result != 1) ERR_clear_error();
    return result == 1;
  }

 private:
  void initPrehashed([[maybe_unused]] const Pkey& key, [[maybe_unused]] bool signs) {
#if OPENSSL_VERSION_NUMBER >= 0x30400000L
    pkeyContext_.reset(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    const SignatureAlgorithm algorithm = fetched("ED25519ph");
    const auto init = signs ? EVP_PKEY_sign_init_ex2 : EVP_PKEY_verify_init_ex2;
    require(pkeyContext_ ? init(pkeyContext_.get(), algorithm.get(), nullptr) : 0, "the key was refused");
#endif
  }

  bool prehashed_;
  HashContext context_;
  PkeyContext pkeyContext_;
};

Bytes pkcs8Of(const Pkey& key) {
  const Pkcs8 info(EVP_PKEY2PKCS8(key.get()));
  unsigned char* der = nullptr;
  const int length = info ? i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der) : -1;
  if (length <= 0) fail(FailureCode::OperationFailed, "cannot encode the key");
  Bytes bytes(View{der, static_cast<std::size_t>(length)});
  OPENSSL_clear_free(der, static_cast<std::size_t>(length));
  return bytes;
}

Bytes spkiOf(const Pkey& key) {
  unsigned char* der = nullptr;
  const int length = i2d_PUBKEY(key.get(), &der);
  if (length <= 0) fail(FailureCode::OperationFailed, "cannot encode the key");
  Bytes bytes(View{der, static_cast<std::size_t>(length)});
  OPENSSL_free(der);
  return bytes;
}

struct MessageKeyPair {
  Bytes pkcs8, spki;
};

Napi::Value toJs(Napi::Env env, const MessageKeyPair& pair) {
  return arrayOf<2>(env, {pair.pkcs8.view(), pair.spki.view()});
}

MessageKeyPair generate(const MessageAlgorithm& algorithm) {
  PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm.name, nullptr));
  EVP_PKEY* generated = nullptr;
  require(context ? EVP_PKEY_keygen_init(context.get()) : 0, "the key generation failed");
  require(EVP_PKEY_generate(context.get(), &generated), "the key generation failed");
  const Pkey key(generated);
  return {pkcs8Of(key), spkiOf(key)};
}

const MessageAlgorithm& algorithmAt(const Napi::Value& value) {
  const std::uint32_t row = value.As<Napi::Number>().Uint32Value();
  if (row >= algorithms.size()) fail(FailureCode::Unsupported, "unknown algorithm");
  return algorithms[row];
}

// generateMessageKeyPair(algorithmRow) -> [PKCS#8, SPKI], or a promise of it
Napi::Value generateMessageKeyPair(const Napi::CallbackInfo& info) {
  const MessageAlgorithm& algorithm = algorithmAt(info[0]);
  return run(info.Env(), algorithm.where, [&algorithm] { return generate(algorithm); });
}

// [{name, signatureBytes, forms: [pure, prehash, mu]}]
Napi::Array algorithmTable(Napi::Env env) {
  Napi::Array rows = Napi::Array::New(env, algorithms.size());
  for (std::uint32_t row = 0; row < algorithms.size(); row++) {
    Napi::Array forms = Napi::Array::New(env, 3);
    for (std::uint32_t form = 0; form < 3; form++) {
      forms.Set(form, isAvailable(algorithms[row], static_cast<MessageForm>(form)));
    }
    Napi::Object algorithm = Napi::Object::New(env);
    algorithm.Set("name", Napi::String::New(env, algorithms[row].name));
    algorithm.Set("signatureBytes", Napi::Number::New(env, static_cast<double>(algorithms[row].signatureBytes)));
    algorithm.Set("forms", forms);
    rows.Set(row, algorithm);
  }
  return rows;
}

}  // namespace

Napi::Function MessageKey::define(Napi::Env env) {
  using Key = MessageKey;
  return DefineClass(env, "MessageKey",
                     {
                         InstanceAccessor<&Key::algorithm>("algorithm"),
                         InstanceMethod<&Key::destroy>("destroy"),
                         InstanceMethod<&Key::guarded<&Key::sign>>("sign"),
                         InstanceMethod<&Key::guarded<&Key::verify>>("verify"),
                     });
}

MessageKey::MessageKey(const Napi::CallbackInfo& info) : ObjectWrap(info) {
  withJsErrors(info.Env(), [&] {
    const View der = viewOf(info[0]);
    isPrivate_ = info[1].ToBoolean();
    const unsigned char* at = der.data;
    if (isPrivate_) {
      const Pkcs8 parsed(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(der.length)));
      if (parsed) pkey_.reset(EVP_PKCS82PKEY_ex(parsed.get(), nullptr, nullptr));
    } else {
      pkey_.reset(d2i_PUBKEY_ex(nullptr, &at, static_cast<long>(der.length), nullptr, nullptr));
    }
    if (!pkey_ || at != der.data + der.length) fail(FailureCode::InvalidKey, "the key is not valid");
    algorithm_ = &algorithmOf(pkey_.get());
  });
}

const Pkey& MessageKey::usable() const {
  if (!pkey_) fail(FailureCode::InvalidKey, "the key was destroyed");
  return pkey_;
}

// sign(form, input) -> signature, or a promise of it
Napi::Value MessageKey::sign(const Napi::CallbackInfo& info) {
  const Pkey& key = usable();
  if (!isPrivate_) fail(FailureCode::InvalidKey, "not a private key");
  return run(info.Env(), algorithm_->where,
             [key = shareKey(key), algorithm = algorithm_, form = formOf(info[0]), input = Bytes(viewOf(info[1]))] {
               return Operation(key, *algorithm, form, true).sign(input.view(), algorithm->signatureBytes);
             });
}

// verify(form, input, signature) -> boolean, or a promise of it
Napi::Value MessageKey::verify(const Napi::CallbackInfo& info) {
  const Pkey& key = usable();
  return run(info.Env(), algorithm_->where,
             [key = shareKey(key), algorithm = algorithm_, form = formOf(info[0]), input = Bytes(viewOf(info[1])),
              signature = Bytes(viewOf(info[2]))] {
               return Operation(key, *algorithm, form, false).verify(input.view(), signature.view());
             });
}

Napi::Value MessageKey::destroy(const Napi::CallbackInfo& info) {
  pkey_.reset();
  return info.Env().Undefined();
}

Napi::Value MessageKey::algorithm(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), algorithm_->name);
}

void exportMessageKeys(Napi::Env env, Napi::Object exports) {
  exports.Set("messageAlgorithms", algorithmTable(env));
  exports.Set("MessageKey", MessageKey::define(env));
  exports.Set("generateMessageKeyPair", Napi::Function::New<guarded<generateMessageKeyPair>>(env));
}

}  // namespace crypto
