#include "gcm-iv.h"

#include <cstdint>

#include "failure.h"

namespace crypto {

namespace {

constexpr std::size_t blockBytes = 16;

// An element of GF(2^128) in the bit order of SP 800-38D: the first bit of the block is the highest bit of
// `high`.
struct Element {
  std::uint64_t high = 0;
  std::uint64_t low = 0;
};

Element operator^(Element a, Element b) {
  return {a.high ^ b.high, a.low ^ b.low};
}

Element load(const unsigned char* bytes, std::size_t length) {
  Element element;
  for (std::size_t i = 0; i < length; i++) {
    std::uint64_t& half = i < 8 ? element.high : element.low;
    half |= static_cast<std::uint64_t>(bytes[i]) << (56 - 8 * (i % 8));
  }
  return element;
}

// Algorithm 1 of SP 800-38D, with masks in place of branches because H is secret.
Element multiply(Element x, Element y) {
  Element product;
  for (int bit = 0; bit < 128; bit++) {
    const std::uint64_t half = bit < 64 ? x.high : x.low;
    const std::uint64_t take = 0 - ((half >> (63 - bit % 64)) & 1);
    product = product ^ Element{y.high & take, y.low & take};
    const std::uint64_t reduce = 0 - (y.low & 1);
    y = {(y.high >> 1) ^ (reduce & 0xe100000000000000u), (y.low >> 1) | (y.high << 63)};
  }
  return product;
}

// x^(2^128 - 2), by Fermat.
Element inverse(Element x) {
  Element result = multiply(x, x);
  Element power = result;
  for (int i = 2; i < 128; i++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

Element hashKey(const EVP_CIPHER* ecb, View key) {
  const unsigned char zeros[blockBytes] = {0};
  unsigned char block[blockBytes];
  int written = 0;
  CipherContext context(EVP_CIPHER_CTX_new());
  require(EVP_CipherInit_ex2(context.get(), ecb, key.data, nullptr, 1, nullptr), "AES-GCM failed");
  require(EVP_CipherUpdate(context.get(), block, &written, zeros, blockBytes), "AES-GCM failed");
  const Element h = load(block, blockBytes);
  OPENSSL_cleanse(block, sizeof block);
  return h;
}

}  // namespace

void foldLongGcmIv(const EVP_CIPHER* ecb, View key, View iv, unsigned char folded[16]) {
  Element h = hashKey(ecb, key);
  Element state;
  for (std::size_t at = 0; at < iv.length; at += blockBytes) {
    const std::size_t length = iv.length - at < blockBytes ? iv.length - at : blockBytes;
    state = multiply(state ^ load(iv.data + at, length), h);
  }
  // The last block holds the length in bits: take out that of `iv`, put in that of a 16-byte IV.
  state.low ^= static_cast<std::uint64_t>(iv.length) * 8 ^ blockBytes * 8;
  const Element block = multiply(state, inverse(h));
  OPENSSL_cleanse(&h, sizeof h);
  for (std::size_t i = 0; i < blockBytes; i++) {
    folded[i] = static_cast<unsigned char>((i < 8 ? block.high : block.low) >> (56 - 8 * (i % 8)));
  }
}

}  // namespace crypto
