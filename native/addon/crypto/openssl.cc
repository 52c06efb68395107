#include "openssl.h"

#include "failure.h"

namespace crypto {

namespace {

// In the order of CipherMode, then by the length of the key in words of 8 bytes: a length without a name is none of the
// cipher's.
constexpr std::size_t keyWordCount = 4;
constexpr const char* cipherNames[cipherModeCount][keyWordCount] = {
    {nullptr, "AES-128-ECB", "AES-192-ECB", "AES-256-ECB"},
    {nullptr, "AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
    {nullptr, "AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
    {nullptr, "AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
    {nullptr, nullptr, "DES-EDE3-ECB", nullptr},
    {nullptr, nullptr, "DES-EDE3-CBC", nullptr},
    {nullptr, "AES-128-WRAP", "AES-192-WRAP", "AES-256-WRAP"},
    {nullptr, "AES-128-WRAP-PAD", "AES-192-WRAP-PAD", "AES-256-WRAP-PAD"},
};

struct FetchedAlgorithms {
  std::array<EVP_MD*, hashRows.size()> hashes{};
  EVP_CIPHER* ciphers[cipherModeCount][keyWordCount]{};
  EVP_MAC* hmac;
  EVP_MAC* cmac;

  FetchedAlgorithms() {
    for (std::size_t row = 0; row < hashRows.size(); row++) {
      hashes[row] = EVP_MD_fetch(nullptr, hashRows[row].opensslName, nullptr);
    }
    for (std::size_t mode = 0; mode < cipherModeCount; mode++) {
      for (std::size_t words = 0; words < keyWordCount; words++) {
        const char* name = cipherNames[mode][words];
        if (name != nullptr) ciphers[mode][words] = EVP_CIPHER_fetch(nullptr, name, nullptr);
      }
    }
    hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    cmac = EVP_MAC_fetch(nullptr, "CMAC", nullptr);
  }
};

// Never freed: other environments and worker threads may still use them while the process ends.
const FetchedAlgorithms& algorithms() {
  static const FetchedAlgorithms* const fetched = new FetchedAlgorithms();
  return *fetched;
}

template <typename T>
T* available(T* algorithm) {
  if (algorithm == nullptr) fail(FailureCode::Unsupported, "this OpenSSL does not offer the algorithm");
  return algorithm;
}

}  // namespace

const EVP_MD* fetchedHash(std::size_t row) {
  if (row >= hashRows.size()) fail(FailureCode::Unsupported, "unknown hash");
  return available(algorithms().hashes[row]);
}

const EVP_CIPHER* fetchedCipher(CipherMode mode, std::size_t keyLengthBytes) {
  const auto row = static_cast<std::size_t>(mode);
  const std::size_t words = keyLengthBytes / 8 - 1;
  if (keyLengthBytes % 8 != 0 || words >= keyWordCount || cipherNames[row][words] == nullptr) {
    fail(FailureCode::InvalidKey, "the cipher has no keys of this length");
  }
  return available(algorithms().ciphers[row][words]);
}

EVP_MAC* fetchedHmac() {
  return available(algorithms().hmac);
}
EVP_MAC* fetchedCmac() {
  return available(algorithms().cmac);
}

Pkey shareKey(const Pkey& key) {
  require(EVP_PKEY_up_ref(key.get()), "cannot share the key");
  return Pkey(key.get());
}

}  // namespace crypto
