// Operations that HSMs elsewhere run, in turns.
#include "stream.h"

namespace tls {

namespace {

class AskedOperation : public Repeatable {
 public:
  AskedOperation(std::shared_ptr<const Command> command, std::vector<std::shared_ptr<Line>> lines)
      : command_(std::move(command)), lines_(std::move(lines)) {}

  std::optional<std::size_t> outputBytes(std::size_t) const override { return command_->outputBytes; }
  bool verifies() const override { return command_->behind == Behind::DataAndSignature; }
  bool run(crypto::View, crypto::View, std::uint8_t*) override { return false; }
  Place place() const override { return Place::Asked; }

  std::shared_ptr<Question> ask(crypto::View beside, crypto::View input, Question question) override {
    Stream* const stream = lines_[turn_++ % lines_.size()]->stream;
    const auto asked = std::make_shared<Question>(std::move(question));
    return stream != nullptr && stream->ask(command_, beside, input, asked) != 0 ? asked : nullptr;
  }

 private:
  const std::shared_ptr<const Command> command_;
  const std::vector<std::shared_ptr<Line>> lines_;
  std::size_t turn_ = 0;
};

}  // namespace

Napi::Value askedOperation(const Napi::CallbackInfo& info) {
  const auto said = info[0].As<Napi::Object>();
  const bool verifies = said.Get("verifies").As<Napi::Boolean>();
  Command command{};
  command.behind = verifies ? Behind::DataAndSignature : Behind::Data;
  command.words = transport::octetsOf(said.Get("words"));
  command.answer = transport::octetsOf(said.Get("answer"));
  command.outputAt = command.answer.size();
  command.outputBytes = said.Get("outputBytes").As<Napi::Number>().Uint32Value();
  const auto streams = said.Get("streams").As<Napi::Array>();
  std::vector<std::shared_ptr<Line>> lines;
  for (std::uint32_t at = 0; at < streams.Length(); at++)
    lines.push_back(Stream::Unwrap(streams.Get(at).As<Napi::Object>())->line());
  const bool hasOutput = command.answer.size() >= headBytes + (verifies ? 0 : lengthBytes);
  if (lines.empty() || !hasOutput || (verifies && command.outputBytes > 0))
    throw Napi::RangeError::New(info.Env(), "nothing to ask");
  // It was told to no output at all, behind the length of that.
  if (!verifies) {
    transport::write(command.answer.data() + command.outputAt - lengthBytes, static_cast<std::uint32_t>(command.outputBytes));
    command.answer.resize(command.outputAt + command.outputBytes);
  }
  return handleOf(info.Env(), std::make_shared<AskedOperation>(std::make_shared<const Command>(std::move(command)),
                                                              std::move(lines)));
}

}  // namespace tls
