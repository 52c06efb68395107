// Session keys that one HSM elsewhere makes and destroys.
#include <algorithm>
#include <unordered_map>

#include "../key-maker.h"
#include "stream.h"

namespace tls {

namespace {

class AskedKeys : public KeyMaker, public std::enable_shared_from_this<AskedKeys> {
 public:
  explicit AskedKeys(const Napi::Object& said)
      : line_(Stream::Unwrap(said.Get("stream").As<Napi::Object>())->line()),
        onOther_(Napi::Persistent(said.Get("onOther").As<Napi::Function>())),
        make_(commandOf(said.Get("make"))),
        destroy_(commandOf(said.Get("destroy"))) {
    if (make_->outputBytes != handleBytes) throw Napi::RangeError::New(said.Env(), "no handle of a key");
  }

  // Questions keep what their commands refer to.
  std::shared_ptr<Question> make(Question question) override {
    const auto asked = std::make_shared<Question>(
        [self = shared_from_this(), told = std::move(question)](const std::optional<crypto::View>& handle) { told(handle); });
    return ask(make_, {}, asked) == 0 ? nullptr : asked;
  }

  bool destroy(crypto::View handle) override {
    const auto number = transport::read<std::uint64_t>(handle.data);
    const auto asked = std::make_shared<Question>(
        [self = shared_from_this(), number](const std::optional<crypto::View>&) { self->leaving_.erase(number); });
    const std::uint32_t id = ask(destroy_, handle, asked);
    if (id != 0) leaving_.emplace(number, id);
    return id != 0;
  }

  std::size_t leaving() const override { return leaving_.size(); }

  std::vector<Leaving> takeOver() override {
    std::vector<Leaving> taken;
    for (const auto& [handle, id] : leaving_) {
      line_->stream->forget(id);
      taken.push_back({id, handle});
    }
    leaving_.clear();
    return taken;
  }

 private:
  std::shared_ptr<const Command> commandOf(const Napi::Value& value) {
    const auto said = value.As<Napi::Object>();
    Command command{};
    command.behind = Behind::Input;
    command.words = transport::octetsOf(said.Get("words"));
    command.answer = transport::octetsOf(said.Get("answer"));
    command.outputAt = said.Get("outputAt").As<Napi::Number>().Uint32Value();
    command.outputBytes = said.Get("outputBytes").As<Napi::Number>().Uint32Value();
    command.onOther = [this](std::uint32_t id) { other(id); };
    if (command.outputAt < headBytes || command.outputAt + command.outputBytes > command.answer.size())
      throw Napi::RangeError::New(value.Env(), "no answer to a command");
    return std::make_shared<const Command>(std::move(command));
  }

  std::uint32_t ask(const std::shared_ptr<const Command>& command, crypto::View handle,
                    const std::shared_ptr<Question>& question) {
    return line_->stream == nullptr ? 0 : line_->stream->ask(command, {}, handle, question);
  }

  void other(std::uint32_t id) {
    const Napi::Env env = onOther_.Env();
    const auto isIt = [id](const auto& entry) { return entry.second == id; };
    const auto leaving = std::find_if(leaving_.begin(), leaving_.end(), isIt);
    Napi::Value handle = env.Undefined();
    if (leaving != leaving_.end()) handle = Napi::Number::New(env, static_cast<double>(leaving->first));
    line_->stream->call(onOther_, {Napi::Number::New(env, id), handle});
  }

  const std::shared_ptr<Line> line_;
  const Napi::FunctionReference onOther_;
  const std::shared_ptr<const Command> make_;
  const std::shared_ptr<const Command> destroy_;
  // Ids of requests by handle. Without a connection there are none, and their keys are gone.
  std::unordered_map<std::uint64_t, std::uint32_t> leaving_;
};

}  // namespace

Napi::Value askedKeys(const Napi::CallbackInfo& info) {
  return handleOf(info.Env(), std::make_shared<AskedKeys>(info[0].As<Napi::Object>()));
}

}  // namespace tls
