#include "openssl.h"

#include "failure.h"

namespace crypto {

namespace {

constexpr std::size_t modeCount = 4;
constexpr std::array<std::size_t, 3> aesKeyLengthsBytes{16, 24, 32};

// In the order of CipherMode and of aesKeyLengthsBytes.
constexpr const char* aesNames[modeCount][aesKeyLengthsBytes.size()] = {
    {"AES-128-ECB", "AES-192-ECB", "AES-256-ECB"},
    {"AES-128-CBC", "AES-192-CBC", "AES-256-CBC"},
    {"AES-128-CTR", "AES-192-CTR", "AES-256-CTR"},
    {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM"},
};

struct FetchedAlgorithms {
  std::array<EVP_MD*, hashRows.size()> hashes{};
  EVP_CIPHER* aes[modeCount][aesKeyLengthsBytes.size()]{};
  EVP_MAC* hmac;
  EVP_MAC* cmac;

  FetchedAlgorithms() {
    for (std::size_t row = 0; row < hashRows.size(); row++) {
      hashes[row] = EVP_MD_fetch(nullptr, hashRows[row].opensslName, nullptr);
    }
    for (std::size_t mode = 0; mode < modeCount; mode++) {
      for (std::size_t size = 0; size < aesKeyLengthsBytes.size(); size++) {
        aes[mode][size] = EVP_CIPHER_fetch(nullptr, aesNames[mode][size], nullptr);
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

const EVP_CIPHER* fetchedAes(CipherMode mode, std::size_t keyLengthBytes) {
  for (std::size_t size = 0; size < aesKeyLengthsBytes.size(); size++) {
    if (aesKeyLengthsBytes[size] == keyLengthBytes) {
      return available(algorithms().aes[static_cast<std::size_t>(mode)][size]);
    }
  }
  fail(FailureCode::InvalidKey, "an AES key has 16, 24 or 32 bytes");
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
