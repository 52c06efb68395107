// The two kinds of parsed key that JavaScript holds. Operations are methods, because V8 itself then checks
// that the receiver is such an object. The RSA methods are in rsa.cc, the EC methods in ec.cc, the others in
// ciphers.cc, key-wrap.cc and mac.cc.
#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <vector>

#include "bytes.h"
#include "curves.h"
#include "failure.h"
#include "openssl.h"
#include "pkey-contexts.h"

namespace crypto {

// new AsymmetricKey(der, isPrivate): PKCS#8 when private, SubjectPublicKeyInfo otherwise.
class AsymmetricKey : public Napi::ObjectWrap<AsymmetricKey> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit AsymmetricKey(const Napi::CallbackInfo& info);

  Napi::Value rsaSign(const Napi::CallbackInfo& info);
  Napi::Value rsaVerify(const Napi::CallbackInfo& info);
  Napi::Value rsaEncrypt(const Napi::CallbackInfo& info);
  Napi::Value rsaDecrypt(const Napi::CallbackInfo& info);
  Napi::Value ecdsaSign(const Napi::CallbackInfo& info);
  Napi::Value ecdsaVerify(const Napi::CallbackInfo& info);
  Napi::Value ecdhDerive(const Napi::CallbackInfo& info);
  Napi::Value repeatableRsa(const Napi::CallbackInfo& info);
  Napi::Value repeatableEcdsa(const Napi::CallbackInfo& info);

 private:
  template <Napi::Value (AsymmetricKey::*Method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return withJsErrors(info.Env(), [&] { return (this->*Method)(info); });
  }

  void parsePublic(View spki);
  void parsePrivate(View pkcs8);
  Napi::Value destroy(const Napi::CallbackInfo& info);
  Napi::Value type(const Napi::CallbackInfo& info);
  Napi::Value isPrivate(const Napi::CallbackInfo& info);
  Napi::Value bits(const Napi::CallbackInfo& info);
  Napi::Value curveName(const Napi::CallbackInfo& info);

  // The key for an operation; throws InvalidKey when it is destroyed, of the other type, or lacks the private
  // part.
  const Pkey& rsa(bool needsPrivate) const;
  const Pkey& ec(bool needsPrivate) const;
  std::size_t modulusLengthBytes() const { return (bits_ + 7) / 8; }

  Pkey pkey_;
  // What they hold goes when the key is destroyed.
  std::shared_ptr<PkeyContexts> contextsFor(std::function<PkeyContext()> make);
  const std::shared_ptr<PkeyContexts>& ecdsaContexts(bool verifies);

  std::vector<std::weak_ptr<PkeyContexts>> lent_;
  // Of ECDSA: made for the first signature, used for all.
  std::shared_ptr<PkeyContexts> signContexts_, verifyContexts_;
  const Curve* curve_ = nullptr;  // null for RSA
  std::size_t bits_ = 0;
  bool isPrivate_ = false;
};

// The keyed contexts of a secret key, made when first needed; most keys never need more than one or two.
struct KeyedContexts {
  struct Cipher {
    CipherContext context;
    std::size_t ivLengthBytes = 0;  // what a GCM context is set to
  };
  std::array<Cipher, 2 * cipherModeCount> ciphers;  // per CipherMode, encryption and decryption
  std::array<MacContext, hashRows.size()> hmacs;
  MacContext cmac;
};

// new SecretKey(bytes)
class SecretKey : public Napi::ObjectWrap<SecretKey> {
 public:
  static Napi::Function define(Napi::Env env);
  explicit SecretKey(const Napi::CallbackInfo& info);

  Napi::Value cipher(const Napi::CallbackInfo& info);
  Napi::Value gcmEncrypt(const Napi::CallbackInfo& info);
  Napi::Value gcmSeal(const Napi::CallbackInfo& info);
  Napi::Value gcmDecrypt(const Napi::CallbackInfo& info);
  Napi::Value wrap(const Napi::CallbackInfo& info);
  Napi::Value wrapLater(const Napi::CallbackInfo& info);
  Napi::Value hmac(const Napi::CallbackInfo& info);
  Napi::Value cmac(const Napi::CallbackInfo& info);
  Napi::Value repeatableGcm(const Napi::CallbackInfo& info);
  Napi::Value repeatableCipher(const Napi::CallbackInfo& info);
  Napi::Value repeatableHmac(const Napi::CallbackInfo& info);
  Napi::Value repeatableCmac(const Napi::CallbackInfo& info);

 private:
  template <Napi::Value (SecretKey::*Method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    return withJsErrors(info.Env(), [&] { return (this->*Method)(info); });
  }

  Napi::Value destroy(const Napi::CallbackInfo& info);
  Napi::Value lengthBytes(const Napi::CallbackInfo& info);

  KeyedContexts& contexts();  // throws InvalidKey when the key is destroyed
  KeyedContexts::Cipher& keyedCipher(CipherMode mode, bool encrypt);
  EVP_CIPHER_CTX* gcmContext(bool encrypt, View iv);
  EVP_MAC_CTX* hmacContext(std::size_t hashRow);
  EVP_MAC_CTX* cmacContext();

  Bytes bytes_;  // empty once destroyed
  std::size_t lengthBytes_ = 0;
  std::shared_ptr<KeyedContexts> contexts_;  // operations that are repeated look whether it is there
};

}  // namespace crypto
