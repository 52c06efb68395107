// HMAC (FIPS 198-1) and AES-CMAC (SP 800-38B) with contexts that stay keyed between calls.
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
Napi::Value macInto(EVP_MAC_CTX* context, const Napi::CallbackInfo& info, const Napi::Value& data,
                    const Napi::Value& output) {
  const View input = viewOf(data);
  const std::size_t length = EVP_MAC_CTX_get_mac_size(context);
  unsigned char* to = outputOf(output, length);
  std::size_t written = 0;
  require(EVP_MAC_init(context, nullptr, 0, nullptr), "the MAC failed");
  require(EVP_MAC_update(context, input.data, input.length), "the MAC failed");
  require(EVP_MAC_final(context, to, &written, length), "the MAC failed");
  return info.Env().Undefined();
}

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

}  // namespace crypto
