#include "answering.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "../crypto/failure.h"
#include "frames.h"

namespace tls {

namespace {

constexpr std::size_t idAt = frameHeaderBytes + 1;
constexpr std::size_t idBytes = 4;
constexpr std::size_t headBytes = idAt + idBytes;  // what is in front of the words, and alike in the answer
constexpr std::size_t lengthBytes = 4;             // of data and of output
// Then the one that was kept first gives way.
constexpr std::size_t MOST_KEPT = 64;

Octets octetsOf(const Napi::Value& value) {
  const auto buffer = value.As<Napi::Buffer<uint8_t>>();
  return Octets(buffer.Data(), buffer.Data() + buffer.Length());
}

// Frames of calls come with an id, and answers with the same.
void head(Octets* answer, const std::uint8_t* frame) {
  transport::write(answer->data(), static_cast<std::uint32_t>(answer->size() - frameHeaderBytes));
  std::memcpy(answer->data() + idAt, frame + idAt, idBytes);
}

bool begins(const std::uint8_t* frame, std::size_t length, const Octets& answer, const Octets& words) {
  return length >= headBytes + words.size() && frame[frameHeaderBytes] == answer[frameHeaderBytes] &&
         std::memcmp(frame + headBytes, words.data(), words.size()) == 0;
}

}  // namespace

Answering::Counted Answering::counted(const Napi::Value& numbers, std::size_t atLeast) {
  auto array = numbers.As<Napi::Float64Array>();
  if (array.ElementLength() < atLeast) throw Napi::RangeError::New(numbers.Env(), "no room to count");
  return {array.Data(), Napi::Persistent(array)};
}

std::uint32_t Answering::operation(const Napi::Object& said) {
  Operation made{};
  made.work = *said.Get("work").As<RepeatableHandle>().Data();
  made.words = octetsOf(said.Get("words"));
  made.answer = octetsOf(said.Get("answer"));
  if (made.answer.size() < headBytes + lengthBytes) throw Napi::RangeError::New(said.Env(), "no answer to an operation");
  made.longestInputBytes = said.Get("longestInputBytes").As<Napi::Number>().Uint32Value();
  made.uses = counted(said.Get("uses"), 2);
  made.id = ++lastId_;
  operations_.push_back(std::move(made));
  return lastId_;
}

void Answering::end(std::uint32_t id) {
  const auto isIt = [id](const Operation& operation) { return operation.id == id; };
  operations_.erase(std::remove_if(operations_.begin(), operations_.end(), isIt), operations_.end());
}

void Answering::keep(const Napi::Object& said) {
  Kept made{};
  made.words = octetsOf(said.Get("words"));
  made.answer = octetsOf(said.Get("answer"));
  if (made.answer.size() < headBytes) throw Napi::RangeError::New(said.Env(), "no answer to a command");
  made.changesAt = said.Get("changesAt").As<Napi::Number>().Uint32Value();
  made.changes = counted(said.Get("changes"), made.changesAt + 1);
  made.uses = counted(said.Get("uses"), 1);
  made.held = made.now();
  if (kept_.size() == MOST_KEPT) kept_.pop_front();
  kept_.push_back(std::move(made));
}

bool Answering::Operation::isMeant(const std::uint8_t* frame, std::size_t length) const {
  if (!begins(frame, length, answer, words)) return false;
  const std::size_t left = length - headBytes - words.size();
  return left >= lengthBytes &&
         transport::read<std::uint32_t>(frame + headBytes + words.size()) == left - lengthBytes;
}

bool Answering::Kept::isMeant(const std::uint8_t* frame, std::size_t length) const {
  return length == headBytes + words.size() && begins(frame, length, answer, words);
}

bool Answering::knows(const std::uint8_t* frame, std::size_t length) const {
  const auto isMeant = [&](const auto& one) { return one.isMeant(frame, length); };
  return std::any_of(operations_.begin(), operations_.end(), isMeant) ||
         std::any_of(kept_.begin(), kept_.end(), isMeant);
}

bool Answering::takesLong(const std::uint8_t* frame, std::size_t length) const {
  return std::any_of(operations_.begin(), operations_.end(), [&](const Operation& one) {
    return one.work->place() == Repeatable::Place::Elsewhere && one.isMeant(frame, length);
  });
}

bool Answering::answer(const std::uint8_t* frame, std::size_t length, Octets* answer) {
  for (const Operation& operation : operations_) {
    if (!operation.isMeant(frame, length)) continue;
    if (!run(operation, frame, length, answer)) return false;
    operation.uses.at[1]++;
    return true;
  }
  for (auto kept = kept_.begin(); kept != kept_.end(); kept++) {
    if (!kept->isMeant(frame, length)) continue;
    if (kept->now() != kept->held) {
      kept_.erase(kept);
      return false;
    }
    *answer = kept->answer;
    head(answer, frame);
    kept->uses.at[0]++;
    return true;
  }
  return false;
}

bool Answering::run(const Operation& operation, const std::uint8_t* frame, std::size_t length, Octets* answer) {
  const std::size_t dataAt = headBytes + operation.words.size() + lengthBytes;
  const crypto::View input{frame + dataAt, length - dataAt};
  Repeatable& work = *operation.work;
  try {
    const std::optional<std::size_t> outputBytes = work.outputBytes(input.length);
    if (!outputBytes || input.length > operation.longestInputBytes) return false;
    const std::size_t outputAt = operation.answer.size();
    *answer = operation.answer;
    answer->resize(outputAt + *outputBytes);
    transport::write(answer->data() + outputAt - lengthBytes, static_cast<std::uint32_t>(*outputBytes));
    head(answer, frame);
    const crypto::View noIv{input.data, 0};
    std::uint8_t* output = answer->data() + outputAt;
    return work.place() == Repeatable::Place::Elsewhere ? work.runElsewhere(noIv, input, output)
                                                        : work.run(noIv, input, output);
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace tls
