// Commands that a client gives an HSM again in the same words, answered without JavaScript: it has decided one of them, and ends this
// when its decision no longer holds. Whatever is not plain success is JavaScript's.
//
//   request  u32 length, u8 kind, u32 id, words, and for an operation: u32 length of its data, the data, and to verify it: u32 length of
//            the signature, the signature
//   answer   u32 length, u8 kind, u32 id, the rest of last time's, which ends for an operation with an output with that behind its
//            u32 length
//
// (src/wire/hsm-frames.ts)
#pragma once

#include <napi.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

#include "../repeatable.h"
#include "../transport/octets.h"

namespace tls {

using transport::Octets;

class Answering {
 public:
  // operation({words, answer, work, longestInputBytes, uses}) -> its number. `answer` is that to no output at all, or to a signature that
  // is right; uses[1] counts what is answered here.
  std::uint32_t operation(const Napi::Object& said);
  void end(std::uint32_t id);
  void endAll();
  // keep({words, answer, changes, changesAt, uses}): the answer holds while changes[0] + changes[changesAt] is what it is now; uses[0]
  // counts how often it is given.
  void keep(const Napi::Object& said);

  bool empty() const { return operations_.empty() && kept_.empty(); }
  // What may answer a frame here, until JavaScript runs.
  class Found;
  Found find(const std::uint8_t* frame, std::size_t length);
  // The frame's answer; false where JavaScript has to see to it.
  bool answer(const Found& found, Octets* answer);

 private:
  struct Counted {
    double* at;
    Napi::Reference<Napi::Float64Array> keeps;
  };
  struct Operation {
    std::uint32_t id;
    Octets words;
    Octets answer;
    std::shared_ptr<Repeatable> work;
    std::size_t longestInputBytes;
    Counted uses;
    // What a frame asks for, if it asks for this.
    struct Asked {
      crypto::View input;
      crypto::View signature;
    };
    std::optional<Asked> asked(const std::uint8_t* frame, std::size_t length) const;
  };
  struct Kept {
    Octets words;
    Octets answer;
    Counted changes;
    std::size_t changesAt;
    double held;
    Counted uses;
    double now() const { return changes.at[0] + changes.at[changesAt]; }
    bool isMeant(const std::uint8_t* frame, std::size_t length) const;
  };
  static Counted counted(const Napi::Value& numbers, std::size_t atLeast);
  static bool run(const Found& found, Octets* answer);

  std::uint32_t lastId_ = 0;
  std::deque<Operation> operations_;
  std::deque<Kept> kept_;
};

class Answering::Found {
 public:
  explicit operator bool() const { return operation_ != nullptr || kept_ != nullptr; }
  // JavaScript gives it to another thread, which costs being woken twice.
  bool takesLong() const { return operation_ != nullptr && operation_->work->place() == Repeatable::Place::Elsewhere; }

 private:
  friend class Answering;
  const std::uint8_t* frame_ = nullptr;
  const Operation* operation_ = nullptr;
  Operation::Asked asked_{};
  const Kept* kept_ = nullptr;
};

}  // namespace tls
