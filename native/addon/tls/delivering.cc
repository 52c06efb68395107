// What comes on a connection: answered here, or given to JavaScript.
#include <openssl/crypto.h>
#include <sys/socket.h>

#include <cstring>

#include "stream.h"

namespace tls {

// What comes behind something that JavaScript has still to see to, or while the peer takes nothing away, is JavaScript's as well.
bool Stream::isFree() const {
  return mayWrite() && !paused_ && !ending_ && !full_ && outbox_.bytes() <= HIGH_WATER_BYTES;
}

bool Stream::hand(size_t from, size_t end) {
  if (from == end || closed_) return false;
  const auto owed = call(onData_, {Napi::Number::New(Env(), static_cast<double>(from)),
                                   Napi::Number::New(Env(), static_cast<double>(end - from))});
  return owed.IsBoolean() && owed.As<Napi::Boolean>();
}

// Whether the peer has more to say than it has said.
bool Stream::hasMore() const {
  char next;
  return SSL_has_pending(ssl_.get()) == 1 || recv(descriptor_, &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

// Who is alone with this event loop gets the answer to an operation that takes long soonest from here. Where others come meanwhile, other
// threads see to such operations for a while.
bool Stream::answeredLong(const Answering::Found& found, bool isAlone) {
  isAlone = isAlone && outbox_.empty() && !hasMore();
  if (!isAlone) lookout_->crowd();
  if (lookout_->isCrowded() || !answering_.answer(found, &answer_)) return false;
  if (hasMore()) lookout_->crowd();
  return true;
}

// Whether a frame, alone in what has come or among others, was answered.
bool Stream::answered(const Answering::Found& found, bool isAlone) {
  if (!found || !isFree()) return false;
  const bool isDone = found.takesLong() ? answeredLong(found, isAlone) : answering_.answer(found, &answer_);
  if (!isDone) return false;
  put(answer_.data(), answer_.size());
  std::memset(answer_.data(), 0, answer_.size());
  return true;
}

// In the order in which it came: what JavaScript does may change what is answered here.
bool Stream::deliver(size_t lengthBytes) {
  bool owed = false;
  size_t from = 0;
  const auto handUpTo = [&](size_t end) {
    owed = hand(from, end) || owed;
    from = end;
  };
  for (size_t at = 0; at < lengthBytes;) {
    const uint8_t* frame = inboxBytes_ + at;
    const size_t whole = answering_.empty() && asking_.empty() ? 0 : frames_.whole(frame, lengthBytes - at);
    if (whole > 0 && asking_.isAnswer(frame, whole)) {
      handUpTo(at);
      if (tookAnswer(frame, whole)) from += whole;
    } else if (whole > 0) {
      auto found = answering_.find(frame, whole);
      if (found && from < at) {
        handUpTo(at);
        found = answering_.find(frame, whole);
      }
      if (answered(found, whole == lengthBytes)) from += whole;
    }
    at += frames_.pass(frame, lengthBytes - at);
  }
  handUpTo(lengthBytes);
  return owed || !asking_.empty();
}

uint32_t Stream::ask(const std::shared_ptr<const Command>& command, crypto::View beside, crypto::View input,
                     const std::shared_ptr<Question>& question) {
  if (!isFree()) return 0;
  if (asking_.empty()) heardNs_ = uv_hrtime();
  const uint32_t id = asking_.begin(command, question);
  Octets request = command->request(id, beside, input);
  put(request.data(), request.size());
  OPENSSL_cleanse(request.data(), request.size());
  return id;
}

// Whether an answer was seen to. What JavaScript has done just before may have ended the connection, or taken over what is owed.
bool Stream::tookAnswer(const uint8_t* frame, size_t length) {
  if (closed_ || !asking_.isAnswer(frame, length)) return false;
  heardNs_ = uv_hrtime();
  return asking_.take(frame, length);
}

Napi::Value Stream::asked(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Array both = Napi::Array::New(env, 2);
  both.Set(0U, Napi::Number::New(env, static_cast<double>(asking_.size())));
  both.Set(1U, Napi::Number::New(env, static_cast<double>(uv_hrtime() - heardNs_) / 1e6));
  return both;
}

Napi::Value Stream::answerOperation(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), answering_.operation(info[0].As<Napi::Object>()));
}

void Stream::endOperation(const Napi::CallbackInfo& info) {
  answering_.end(info[0].As<Napi::Number>().Uint32Value());
}

void Stream::keepAnswer(const Napi::CallbackInfo& info) { answering_.keep(info[0].As<Napi::Object>()); }

void Stream::startAfresh(const Napi::CallbackInfo&) {
  line_->stream = nullptr;
  line_ = std::make_shared<Line>(Line{closed_ ? nullptr : this});
  answering_.endAll();
  asking_.end();
}

}  // namespace tls
