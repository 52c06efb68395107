// What is to be written and cannot be yet, because the peer takes nothing away.
#pragma once

#include <openssl/crypto.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace tls {

class Outbox {
 public:
  ~Outbox() { clear(); }

  bool empty() const { return pieces_.empty(); }
  std::size_t bytes() const { return bytes_; }

  // A copy of it. Short pieces share memory, which never moves: it would leave a copy behind.
  void add(const uint8_t* bytes, std::size_t length) {
    if (empty() || pieces_.back().capacity() - pieces_.back().size() < length) {
      pieces_.emplace_back();
      pieces_.back().reserve(std::max(length, PIECE_BYTES));
    }
    pieces_.back().insert(pieces_.back().end(), bytes, bytes + length);
    bytes_ += length;
  }

  // What comes next: OpenSSL must be given the same bytes again, to which more may have been added.
  const uint8_t* next() const { return pieces_.front().data() + taken_; }
  std::size_t nextLength() const { return pieces_.front().size() - taken_; }

  // So much of it was written, and is cleansed.
  void take(std::size_t length) {
    std::vector<uint8_t>& first = pieces_.front();
    OPENSSL_cleanse(first.data() + taken_, length);
    taken_ += length;
    bytes_ -= length;
    if (taken_ < first.size()) return;
    pieces_.pop_front();
    taken_ = 0;
  }

  void clear() {
    while (!empty()) take(nextLength());
  }

 private:
  static constexpr std::size_t PIECE_BYTES = 1024;

  std::deque<std::vector<uint8_t>> pieces_;
  std::size_t taken_ = 0;  // of the first of them
  std::size_t bytes_ = 0;
};

}  // namespace tls
