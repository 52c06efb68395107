// Random bytes that were asked for ahead: asking OpenSSL's generator costs as much for a few bytes as for some hundred.
#pragma once

#include <openssl/crypto.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "failure.h"

namespace crypto {

inline void randomInto(std::uint8_t* bytes, std::size_t length) {
  require(RAND_bytes(bytes, static_cast<int>(length)), "no random bytes");
}

class RandomReserve {
 public:
  static constexpr std::size_t longestBytes = 64;  // of what it is asked for

  ~RandomReserve() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  // Gives each byte away once, and keeps nothing of it. Throws where there are none: then nothing is given.
  void give(std::uint8_t* output, std::size_t length) {
    if (length > left_) {
      left_ = 0;
      randomInto(bytes_.data(), bytes_.size());
      left_ = bytes_.size();
    }
    left_ -= length;
    std::uint8_t* next = bytes_.data() + left_;
    std::copy_n(next, length, output);
    OPENSSL_cleanse(next, length);
  }

 private:
  std::array<std::uint8_t, 512> bytes_{};
  std::size_t left_ = 0;
};

}  // namespace crypto
