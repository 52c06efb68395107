// Commands on data that are given to a peer in words that it has been given before, without JavaScript, and their answers. Whatever is not
// plain success is JavaScript's: it gives the command again.
//
//   request  u32 length, u8 kind, u32 id, words, u32 length of the data, the data, and to verify it: u32 length of the signature, the
//            signature
//   answer   as Answering gives it
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>

#include "../repeatable.h"
#include "../transport/octets.h"

namespace tls {

using transport::Octets;

// What a command is, and what answers it.
struct Command {
  Octets words;
  Octets answer;  // the whole frame, to no output at all, or to a signature that is right
  std::size_t outputBytes;
  bool verifies;

  Octets request(std::uint32_t id, crypto::View beside, crypto::View input) const;
  // The output that a frame answers; nothing where it is not plain success.
  std::optional<crypto::View> output(const std::uint8_t* frame, std::size_t length) const;
};

class Asking {
 public:
  // JavaScript's ids are less.
  static constexpr std::uint32_t FIRST_ID = 0x8000'0000;

  bool empty() const { return asked_.empty(); }
  std::size_t size() const { return asked_.size(); }
  // The id of the request.
  std::uint32_t begin(std::shared_ptr<const Command> command, std::shared_ptr<Question> question);
  // Whether a frame answers a request.
  bool isAnswer(const std::uint8_t* frame, std::size_t length) const;
  // Tells it.
  void take(const std::uint8_t* frame, std::size_t length);
  // No more answers come.
  void end();

 private:
  struct Asked {
    std::shared_ptr<const Command> command;
    std::shared_ptr<Question> question;
  };

  std::uint32_t lastId_ = FIRST_ID;
  std::unordered_map<std::uint32_t, Asked> asked_;
};

}  // namespace tls
