// Random bytes that were asked for ahead: asking OpenSSL's generator costs as much for a few bytes as for some hundred.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace crypto {

class RandomReserve {
 public:
  static constexpr std::size_t longestBytes = 64;  // of what it is asked for

  ~RandomReserve() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

  // Gives each byte away once, and keeps nothing of it. `refill(bytes, length)` may throw: then nothing is given.
  template <typename Refill>
  void give(std::uint8_t* output, std::size_t length, Refill refill) {
    if (length > left_) {
      left_ = 0;
      refill(bytes_.data(), bytes_.size());
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
