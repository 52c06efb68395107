// Keys that sign messages whole: Ed25519 (RFC 8032) and ML-DSA (FIPS 204). Which of them there are depends on the OpenSSL
// inside the running Node.
#pragma once

#include <napi.h>

#include "bytes.h"
#include "failure.h"
#include "openssl.h"
#include "work.h"

namespace crypto {

struct MessageAlgorithm {
  const char* name;  // as OpenSSL and MessageAlgorithm of src/crypto/message-keys.ts have it
  std::size_t signatureBytes;
  RunOn where;
};

// What of a message the operation is given: all of it, its SHA-512 (Ed25519ph), or mu (FIPS 204, algorithm 7 line 6).
enum class MessageForm { Pure, Prehash, Mu };

// new MessageKey(der, isPrivate): PKCS#8 when private, SubjectPublicKeyInfo otherwise.
class MessageKey : public Napi::ObjectWrap<MessageKey> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit MessageKey(const Napi::CallbackInfo& info);

 private:
  template <Napi::Value (MessageKey::*Method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return withJsErrors(info.Env(), [&] { return (this->*Method)(info); });
  }

  Napi::Value sign(const Napi::CallbackInfo& info);
  Napi::Value verify(const Napi::CallbackInfo& info);
  Napi::Value destroy(const Napi::CallbackInfo& info);
  Napi::Value algorithm(const Napi::CallbackInfo& info);

  const Pkey& usable() const;  // throws InvalidKey when the key is destroyed

  Pkey pkey_;
  const MessageAlgorithm* algorithm_ = nullptr;
  bool isPrivate_ = false;
};

void exportMessageKeys(Napi::Env env, Napi::Object exports);

}  // namespace crypto
