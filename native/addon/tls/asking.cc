#include "asking.h"

#include <cstring>

#include "frames.h"

namespace tls {

Octets Command::request(std::uint32_t id, crypto::View beside, crypto::View input) const {
  const bool hasLength = behind != Behind::Input;
  const bool hasSignature = behind == Behind::DataAndSignature;
  const std::size_t lengths = (hasLength ? lengthBytes : 0) + (hasSignature ? lengthBytes + beside.length : 0);
  Octets frame(headBytes + words.size() + input.length + lengths);
  std::uint8_t* to = transport::write(frame.data(), static_cast<std::uint32_t>(frame.size() - frameHeaderBytes));
  *to++ = answer[kindAt];
  to = transport::write(to, id);
  const auto add = [&to](const std::uint8_t* bytes, std::size_t length) {
    if (length > 0) std::memcpy(to, bytes, length);
    to += length;
  };
  add(words.data(), words.size());
  if (hasLength) to = transport::write(to, static_cast<std::uint32_t>(input.length));
  add(input.data, input.length);
  if (!hasSignature) return frame;
  to = transport::write(to, static_cast<std::uint32_t>(beside.length));
  add(beside.data, beside.length);
  return frame;
}

std::optional<crypto::View> Command::output(const std::uint8_t* frame, std::size_t length) const {
  const std::size_t end = outputAt + outputBytes;
  const auto isSame = [&](std::size_t from, std::size_t to) {
    return std::memcmp(frame + from, answer.data() + from, to - from) == 0;
  };
  if (length != answer.size() || !isSame(headBytes, outputAt) || !isSame(end, length)) return std::nullopt;
  return crypto::View{frame + outputAt, outputBytes};
}

std::uint32_t Asking::begin(std::shared_ptr<const Command> command, std::shared_ptr<Question> question) {
  // Those of requests that were never answered are still there.
  do lastId_ = (lastId_ + 1) | FIRST_ID;
  while (asked_.count(lastId_) > 0);
  asked_.emplace(lastId_, Asked{std::move(command), std::move(question)});
  return lastId_;
}

bool Asking::isAnswer(const std::uint8_t* frame, std::size_t length) const {
  if (asked_.empty() || length < headBytes) return false;
  const auto found = asked_.find(transport::read<std::uint32_t>(frame + idAt));
  return found != asked_.end() && frame[kindAt] == found->second.command->answer[kindAt];
}

bool Asking::take(const std::uint8_t* frame, std::size_t length) {
  const auto id = transport::read<std::uint32_t>(frame + idAt);
  const auto found = asked_.find(id);
  const Asked asked = std::move(found->second);
  asked_.erase(found);
  if (!*asked.question) return true;
  const std::optional<crypto::View> output = asked.command->output(frame, length);
  const bool isOther = !output && asked.command->onOther;
  if (isOther) asked.command->onOther(id);
  (*asked.question)(output);
  return !isOther;
}

void Asking::end() {
  std::unordered_map<std::uint32_t, Asked> asked;
  asked.swap(asked_);
  for (const auto& [id, one] : asked) {
    if (*one.question) (*one.question)(std::nullopt);
  }
}

}  // namespace tls
