#include "answering.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "../crypto/failure.h"
#include "frames.h"

namespace tls {

namespace {

// Then the one that was kept first gives way.
constexpr std::size_t MOST_KEPT = 64;

// Frames of calls come with an id, and answers with the same.
void head(Octets* answer, const std::uint8_t* frame) {
  transport::write(answer->data(), static_cast<std::uint32_t>(answer->size() - frameHeaderBytes));
  std::memcpy(answer->data() + idAt, frame + idAt, headBytes - idAt);
}

bool begins(const std::uint8_t* frame, std::size_t length, const Octets& answer, const Octets& words) {
  return length >= headBytes + words.size() && frame[kindAt] == answer[kindAt] &&
         std::memcmp(frame + headBytes, words.data(), words.size()) == 0;
}

// What a length is in front of; it is taken off what is left.
std::optional<crypto::View> takeBytes(crypto::View* left) {
  if (left->length < lengthBytes) return std::nullopt;
  const std::size_t length = transport::read<std::uint32_t>(left->data);
  if (length > left->length - lengthBytes) return std::nullopt;
  const crypto::View taken{left->data + lengthBytes, length};
  *left = {taken.data + length, left->length - lengthBytes - length};
  return taken;
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
  made.words = transport::octetsOf(said.Get("words"));
  made.answer = transport::octetsOf(said.Get("answer"));
  const std::size_t leastBytes = headBytes + (made.work->verifies() ? 0 : lengthBytes);
  if (made.answer.size() < leastBytes) throw Napi::RangeError::New(said.Env(), "no answer to an operation");
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

void Answering::endAll() {
  operations_.clear();
  kept_.clear();
}

void Answering::keep(const Napi::Object& said) {
  Kept made{};
  made.words = transport::octetsOf(said.Get("words"));
  made.answer = transport::octetsOf(said.Get("answer"));
  if (made.answer.size() < headBytes) throw Napi::RangeError::New(said.Env(), "no answer to a command");
  made.changesAt = said.Get("changesAt").As<Napi::Number>().Uint32Value();
  made.changes = counted(said.Get("changes"), made.changesAt + 1);
  made.uses = counted(said.Get("uses"), 1);
  made.held = made.now();
  if (kept_.size() == MOST_KEPT) kept_.pop_front();
  kept_.push_back(std::move(made));
}

std::optional<Answering::Operation::Asked> Answering::Operation::asked(const std::uint8_t* frame,
                                                                       std::size_t length) const {
  if (!begins(frame, length, answer, words)) return std::nullopt;
  const std::size_t dataAt = headBytes + words.size();
  crypto::View left{frame + dataAt, length - dataAt};
  const std::optional<crypto::View> input = takeBytes(&left);
  if (!input) return std::nullopt;
  const std::optional<crypto::View> signature = work->verifies() ? takeBytes(&left) : crypto::View{left.data, 0};
  if (!signature || left.length != 0) return std::nullopt;
  return Asked{*input, *signature};
}

bool Answering::Kept::isMeant(const std::uint8_t* frame, std::size_t length) const {
  return length == headBytes + words.size() && begins(frame, length, answer, words);
}

Answering::Found Answering::find(const std::uint8_t* frame, std::size_t length) {
  Found found;
  found.frame_ = frame;
  for (const Operation& operation : operations_) {
    const std::optional<Operation::Asked> asked = operation.asked(frame, length);
    if (!asked) continue;
    found.operation_ = &operation;
    found.asked_ = *asked;
    return found;
  }
  for (const Kept& kept : kept_) {
    if (!kept.isMeant(frame, length)) continue;
    found.kept_ = &kept;
    return found;
  }
  return found;
}

bool Answering::answer(const Found& found, Octets* answer) {
  if (found.operation_ != nullptr) {
    if (!run(found, answer)) return false;
    found.operation_->uses.at[1]++;
    return true;
  }
  const Kept& kept = *found.kept_;
  if (kept.now() != kept.held) {
    const auto isIt = [&](const Kept& other) { return &other == &kept; };
    kept_.erase(std::find_if(kept_.begin(), kept_.end(), isIt));
    return false;
  }
  *answer = kept.answer;
  head(answer, found.frame_);
  kept.uses.at[0]++;
  return true;
}

bool Answering::run(const Found& found, Octets* answer) {
  const Operation& operation = *found.operation_;
  const auto& [input, signature] = found.asked_;
  Repeatable& work = *operation.work;
  try {
    const std::optional<std::size_t> outputBytes = work.outputBytes(input.length);
    if (!outputBytes || input.length > operation.longestInputBytes) return false;
    const std::size_t outputAt = operation.answer.size();
    *answer = operation.answer;
    answer->resize(outputAt + *outputBytes);
    std::uint8_t* output = answer->data() + outputAt;
    if (!work.verifies()) transport::write(output - lengthBytes, static_cast<std::uint32_t>(*outputBytes));
    head(answer, found.frame_);
    return work.place() == Repeatable::Place::Elsewhere ? work.runElsewhere(signature, input, output)
                                                        : work.run(signature, input, output);
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

}  // namespace tls
