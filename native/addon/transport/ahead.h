// An operation on a request that takes several turns to come, done as it comes: while the program copies the next part of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "../repeatable.h"

namespace transport {

// What it comes to counts only where the whole request is found to ask for the same work.
class Ahead {
 public:
  // The input has its place in the request.
  Ahead(std::shared_ptr<const Repeatable> work, std::unique_ptr<PieceByPiece> pieces, std::size_t inputAt,
        std::size_t inputBytes)
      : work_(std::move(work)), pieces_(std::move(pieces)), done_(inputAt), end_(inputAt + inputBytes) {}
  // So much of the request has come, from its beginning. Throws crypto::Failure.
  void goOn(const std::uint8_t* request, std::size_t length);
  bool isOf(const Repeatable& work) const { return work_.get() == &work; }
  // All of it has come. Throws crypto::Failure.
  void finish(const std::uint8_t* request, std::size_t length, std::uint8_t* output);

 private:
  const std::shared_ptr<const Repeatable> work_;
  const std::unique_ptr<PieceByPiece> pieces_;
  std::size_t done_;
  const std::size_t end_;
};

}  // namespace transport
