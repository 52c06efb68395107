// Commands that are given to a peer in words that it has been given before, without JavaScript, and their answers. Whatever is not
// plain success is JavaScript's: it gives the command again.
//
//   request  u32 length, u8 kind, u32 id, words, and behind them what is another one each time: see Behind
//   answer   the same each time, but for the id and the output
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <unordered_map>

#include "../repeatable.h"
#include "../transport/octets.h"

namespace tls {

using transport::Octets;

// What is behind a command's words: the input as it is; or behind its u32 length; or that, and a signature behind its own.
enum class Behind { Input, Data, DataAndSignature };

// What a command is, and what answers it.
struct Command {
  Behind behind;
  Octets words;
  Octets answer;  // the whole frame, with any output
  std::size_t outputAt;
  std::size_t outputBytes;
  // Is told of a request that is answered in another way, if anybody: JavaScript wants to see the answer.
  std::function<void(std::uint32_t id)> onOther;

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
  // JavaScript has the answer instead.
  void forget(std::uint32_t id) { asked_.erase(id); }
  // Whether a frame answers a request.
  bool isAnswer(const std::uint8_t* frame, std::size_t length) const;
  // Tells it. False: the frame is JavaScript's as well.
  bool take(const std::uint8_t* frame, std::size_t length);
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
