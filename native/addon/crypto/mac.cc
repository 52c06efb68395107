// HMAC (FIPS 198-1) and AES-CMAC (SP 800-38B) with contexts that stay keyed between calls.
#include "../repeatable.h"
#include "keys.h"

namespace crypto {

namespace {

MacContext keyedMac(EVP_MAC* mac, View key, const char* parameter, const char* algorithm) {
  MacContext context(EVP_MAC_CTX_new(mac));
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(parameter, const_cast<char*>(algorithm), 0),
      OSSL_PARAM_construct_end(),
  };
  require(EVP_MAC_init(context.get(), key.data, key.length, params), "the MAC failed");
  return context;
}

// Without a key EVP_MAC_init starts over with the one the context has.
void computeMac(EVP_MAC_CTX* context, View input, unsigned char* output, std::size_t length) {
  std::size_t written = 0;
  require(EVP_MAC_init(context, nullptr, 0, nullptr), "the MAC failed");
  require(EVP_MAC_update(context, input.data, input.length), "the MAC failed");
  require(EVP_MAC_final(context, output, &written, length), "the MAC failed");
}

Napi::Value macInto(EVP_MAC_CTX* context, const Napi::CallbackInfo& info, const Napi::Value& data,
                    const Napi::Value& output) {
  const View input = viewOf(data);
  const std::size_t length = EVP_MAC_CTX_get_mac_size(context);
  computeMac(context, input, outputOf(output, length), length);
  return info.Env().Undefined();
}

class RepeatableMac : public Repeatable {
 public:
  RepeatableMac(const std::shared_ptr<KeyedContexts>& contexts, EVP_MAC_CTX* context, bool verifies)
      : contexts_(contexts),
        context_(context),
        lengthBytes_(EVP_MAC_CTX_get_mac_size(context)),
        verifies_(verifies) {}

  std::optional<std::size_t> outputBytes(std::size_t) const override { return verifies_ ? 0 : lengthBytes_; }

  bool verifies() const override { return verifies_; }

  bool run(View beside, View input, std::uint8_t* output) override {
    const auto contexts = contexts_.lock();
    if (!contexts) return false;
    if (verifies_) return isMac(beside, input);
    computeMac(context_, input, output, lengthBytes_);
    return true;
  }

 private:
  bool isMac(View given, View input) const {
    unsigned char mac[EVP_MAX_MD_SIZE];
    if (given.length != lengthBytes_ || lengthBytes_ > sizeof mac) return false;
    computeMac(context_, input, mac, lengthBytes_);
    const bool isSame = CRYPTO_memcmp(given.data, mac, lengthBytes_) == 0;
    OPENSSL_cleanse(mac, sizeof mac);
    return isSame;
  }

  const std::weak_ptr<KeyedContexts> contexts_;  // gone with the key
  EVP_MAC_CTX* const context_;                   // one of them
  const std::size_t lengthBytes_;
  const bool verifies_;
};

}  // namespace

EVP_MAC_CTX* SecretKey::hmacContext(std::size_t hashRow) {
  fetchedHash(hashRow);  // checks the row number
  MacContext& context = contexts().hmacs[hashRow];
  if (!context) {
    context = keyedMac(fetchedHmac(), bytes_.view(), OSSL_MAC_PARAM_DIGEST, hashRows[hashRow].opensslName);
  }
  return context.get();
}

EVP_MAC_CTX* SecretKey::cmacContext() {
  MacContext& context = contexts().cmac;
  if (!context) {
    const EVP_CIPHER* cbc = fetchedCipher(CipherMode::Cbc, bytes_.length());
    context = keyedMac(fetchedCmac(), bytes_.view(), OSSL_MAC_PARAM_CIPHER, EVP_CIPHER_get0_name(cbc));
  }
  return context.get();
}

// hmac(hashRow, data, output)
Napi::Value SecretKey::hmac(const Napi::CallbackInfo& info) {
  return macInto(hmacContext(info[0].As<Napi::Number>().Uint32Value()), info, info[1], info[2]);
}

// cmac(data, output)
Napi::Value SecretKey::cmac(const Napi::CallbackInfo& info) {
  return macInto(cmacContext(), info, info[0], info[1]);
}

// repeatableHmac(hashRow, verifies)
Napi::Value SecretKey::repeatableHmac(const Napi::CallbackInfo& info) {
  EVP_MAC_CTX* context = hmacContext(info[0].As<Napi::Number>().Uint32Value());
  const bool verifies = info[1].As<Napi::Boolean>();
  return handleOf(info.Env(), std::make_shared<RepeatableMac>(contexts_, context, verifies));
}

// repeatableCmac(verifies)
Napi::Value SecretKey::repeatableCmac(const Napi::CallbackInfo& info) {
  const bool verifies = info[0].As<Napi::Boolean>();
  return handleOf(info.Env(), std::make_shared<RepeatableMac>(contexts_, cmacContext(), verifies));
}

}  // namespace crypto
