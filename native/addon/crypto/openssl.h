// Ownership of OpenSSL objects, and the algorithms that are fetched once per process and kept.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstddef>
#include <memory>

namespace crypto {

template <auto Free>
struct Release {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};

using Pkey = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX_free>>;
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX_free>>;
using MacContext = std::unique_ptr<EVP_MAC_CTX, Release<EVP_MAC_CTX_free>>;
using HashContext = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX_free>>;
using Number = std::unique_ptr<BIGNUM, Release<BN_clear_free>>;
using NumberContext = std::unique_ptr<BN_CTX, Release<BN_CTX_free>>;
using Point = std::unique_ptr<EC_POINT, Release<EC_POINT_clear_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Release<ECDSA_SIG_free>>;

// One row per hash; JavaScript names a hash by its row number.
struct HashRow {
  const char* name;
  const char* opensslName;
};
inline constexpr std::array<HashRow, 5> hashRows{{
    {"sha1", "SHA1"},
    {"sha224", "SHA2-224"},
    {"sha256", "SHA2-256"},
    {"sha384", "SHA2-384"},
    {"sha512", "SHA2-512"},
}};
using HashContexts = std::array<HashContext, hashRows.size()>;

// The fetched hash of a row; throws Unsupported when there is no such row or this OpenSSL lacks it.
const EVP_MD* fetchedHash(std::size_t row);

// AES in four modes, Triple DES with three keys (SP 800-67) in two, and AES in KW and KWP of SP 800-38F.
enum class CipherMode { Ecb, Cbc, Ctr, Gcm, Des3Ecb, Des3Cbc, Wrap, WrapPad };
inline constexpr std::size_t cipherModeCount = 8;

// The fetched cipher for a mode and key length; throws InvalidKey for a length that the cipher does not have.
const EVP_CIPHER* fetchedCipher(CipherMode mode, std::size_t keyLengthBytes);

EVP_MAC* fetchedHmac();
EVP_MAC* fetchedCmac();

// Another reference to the same key; EVP_PKEY is counted atomically, so this is how a key outlives destroy().
Pkey shareKey(const Pkey& key);

}  // namespace crypto
