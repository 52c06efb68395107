#include "stream.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "../addon-data.h"
#include "../loop-handle.h"
#include "context.h"

namespace tls {

namespace {

// Then others have their turn.
constexpr int READS_AT_A_TIME = 4;

// What is written during a short callback goes out behind it, and no later than when there is so much of it: one record of TLS.
constexpr size_t GATHERED_BYTES = 16 * 1024;

const char* const BROKE = "the connection broke";

// SSL_get_error looks at what earlier operations of OpenSSL left behind.
void clearErrors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

}  // namespace

Stream::Stream(const Napi::CallbackInfo& info)
    : ObjectWrap(info),
      context_(info.Env(), "cloudhsm-local.tls"),
      inbox_(Napi::Persistent(info[2].As<Napi::Buffer<uint8_t>>())),
      onOpen_(Napi::Persistent(info[3].As<Napi::Function>())),
      onData_(Napi::Persistent(info[4].As<Napi::Function>())),
      onDrain_(Napi::Persistent(info[5].As<Napi::Function>())),
      onClose_(Napi::Persistent(info[6].As<Napi::Function>())),
      inboxBytes_(info[2].As<Napi::Buffer<uint8_t>>().Data()),
      inboxLength_(std::min<size_t>(info[2].As<Napi::Buffer<uint8_t>>().Length(), INT_MAX)) {
  const Napi::Env env = info.Env();
  if (!Context::isOne(info[0])) throw Napi::TypeError::New(env, "a context is needed");
  const Context* context = Context::Unwrap(info[0].As<Napi::Object>());
  ERR_clear_error();
  ssl_.reset(SSL_new(context->get()));
  if (!ssl_) throw Napi::Error::New(env, lastComplaint());
  descriptor_ = fcntl(info[1].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 0);
  if (descriptor_ < 0) throw Napi::Error::New(env, std::strerror(errno));
  uv_loop_t* loop;
  napi_get_uv_event_loop(env, &loop);
  auto& lookout = env.GetInstanceData<AddonData>()->lookout;
  if (!lookout) lookout = std::make_unique<Lookout>(loop);
  lookout_ = lookout.get();
  poll_ = new uv_poll_t;
  const int failed = uv_poll_init(loop, poll_, descriptor_);
  if (failed != 0 || SSL_set_fd(ssl_.get(), descriptor_) != 1) {
    if (failed != 0) delete poll_;
    else closeHandle(poll_);
    poll_ = nullptr;
    ::close(descriptor_);
    throw Napi::Error::New(env, "the socket cannot be watched");
  }
  if (context->server()) SSL_set_accept_state(ssl_.get());
  else SSL_set_connect_state(ssl_.get());
  poll_->data = this;
  again_ = true;
  listen();
  // Until it is closed the event loop may call it.
  Ref();
}

// The environment ends: nobody is called any more.
Stream::~Stream() {
  line_->stream = nullptr;
  if (poll_ == nullptr) return;
  poll_->data = nullptr;
  if (!closed_) closeHandle(poll_);
  ::close(descriptor_);
}

template <typename Work>
void Stream::inEventLoop(const Work& work) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  try {
    work();
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  } catch (const std::exception& error) {
    napi_fatal_exception(env, Napi::Error::New(env, error.what()).Value());
  }
}

void Stream::onPoll(uv_poll_t* handle, int status, int events) {
  auto* self = static_cast<Stream*>(handle->data);
  if (self == nullptr || self->closed_) return;
  self->inEventLoop([&] {
    if (status < 0) self->close(self->socketError());
    else self->step(events);
  });
}

// The socket is asked by reading it: that is one system call for what has come, and the event loop need not turn.
bool Stream::look() {
  if (!mayWrite() || paused_) return false;
  hasCome_ = false;
  inEventLoop([this] { step(0); });
  return hasCome_ || closed_;
}

void Stream::send() {
  if (!mayWrite()) return;
  inEventLoop([this] {
    if (!flush()) return;
    // What has failed is told from the event loop.
    again_ = again_ || broken_;
    if (!outbox_.empty() || again_) listen();
    else lookout_->begin(this);
  });
}

void Stream::step(int events) {
  again_ = false;
  if ((events & UV_WRITABLE) != 0) wantsWrite_ = false;
  if (!broken_ && !opened_ && !shakeHands() && !broken_) return listen();
  if (closed_) return;
  if (!broken_ && (!outbox_.empty() || full_ || ending_) && !flush()) return;
  if (!broken_ && !paused_) read();
  if (closed_) return;
  if (broken_) return close(why_);
  if (peerEnded_) return close("");
  listen();
}

bool Stream::shakeHands() {
  clearErrors();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    heed(result);
    if (peerEnded_) {
      broken_ = true;
      why_ = "the peer ended the handshake";
    }
    return false;
  }
  opened_ = true;
  call(onOpen_, {});
  return true;
}

void Stream::read() {
  for (int round = 0; round < READS_AT_A_TIME && !paused_ && !closed_; round++) {
    size_t got = 0;
    bool more = true;
    while (more && got < inboxLength_) {
      clearErrors();
      const int result = SSL_read(ssl_.get(), inboxBytes_ + got, static_cast<int>(inboxLength_ - got));
      if (result <= 0) heed(result);
      else got += static_cast<size_t>(result);
      // Otherwise the socket says when there is more.
      more = result > 0 && SSL_has_pending(ssl_.get()) == 1;
    }
    if (got > 0) {
      hasCome_ = true;
      lookout_->heard(this);
      lookout_->found(this);
      bool owed = false;
      lookout_->gather([&] { owed = deliver(got); });
      // It may have held a key or a PIN.
      std::memset(inboxBytes_, 0, got);
      if (owed && !closed_) lookout_->begin(this);
    }
    if (!more) return;
  }
  again_ = true;
}

void Stream::heed(int result) {
  const int saved = errno;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      return;
    case SSL_ERROR_WANT_WRITE:
      wantsWrite_ = true;
      return;
    case SSL_ERROR_ZERO_RETURN:
      peerEnded_ = true;
      return;
    case SSL_ERROR_SYSCALL:
      broken_ = true;
      why_ = saved == 0 ? BROKE : std::strerror(saved);
      return;
    default: {
      broken_ = true;
      const long verified = SSL_get_verify_result(ssl_.get());
      why_ = verified == X509_V_OK ? lastComplaint() : X509_verify_cert_error_string(verified);
    }
  }
}

size_t Stream::writeSome(const uint8_t* bytes, size_t length) {
  size_t done = 0;
  while (done < length && !broken_) {
    clearErrors();
    const int part = static_cast<int>(std::min<size_t>(length - done, INT_MAX));
    const int result = SSL_write(ssl_.get(), bytes + done, part);
    if (result <= 0) {
      heed(result);
      break;
    }
    done += static_cast<size_t>(result);
  }
  return done;
}

std::string Stream::socketError() const {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(descriptor_, SOL_SOCKET, SO_ERROR, &error, &length);
  return error == 0 ? BROKE : std::strerror(error);
}

void Stream::writeOut() {
  while (!outbox_.empty()) {
    const size_t done = writeSome(outbox_.next(), outbox_.nextLength());
    if (done == 0) break;
    outbox_.take(done);
  }
}

bool Stream::flush() {
  writeOut();
  if (broken_ || !outbox_.empty()) return true;
  if (ending_) {
    close("");
    return false;
  }
  if (full_) {
    full_ = false;
    call(onDrain_, {});
  }
  return !closed_;
}

Napi::Value Stream::write(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::Buffer<uint8_t>>();
  if (closed_ || broken_ || ending_) return Napi::Boolean::New(info.Env(), true);
  put(bytes.Data(), bytes.Length());
  return Napi::Boolean::New(info.Env(), !full_);
}

void Stream::put(const uint8_t* bytes, size_t length) {
  const bool isFirst = outbox_.empty();
  if (lookout_->mayGather() && opened_ && outbox_.bytes() + length <= GATHERED_BYTES) {
    outbox_.add(bytes, length);
    if (isFirst) lookout_->gathered(this);
    return;
  }
  // More than is gathered goes out in its order.
  if (!isFirst && opened_) writeOut();
  const bool idle = opened_ && outbox_.empty() && !broken_;
  const size_t done = idle ? writeSome(bytes, length) : 0;
  if (done < length && !broken_) outbox_.add(bytes + done, length - done);
  // What has failed is told from the event loop.
  again_ = again_ || broken_;
  if (!outbox_.empty() || again_) listen();
  else lookout_->begin(this);
  full_ = full_ || outbox_.bytes() > HIGH_WATER_BYTES;
}

void Stream::pause(const Napi::CallbackInfo&) {
  if (paused_ || closed_) return;
  paused_ = true;
  listen();
}

void Stream::resume(const Napi::CallbackInfo&) {
  if (!paused_ || closed_) return;
  paused_ = false;
  // OpenSSL may have read it from the socket already.
  again_ = true;
  listen();
}

void Stream::end(const Napi::CallbackInfo&) {
  if (closed_) return;
  ending_ = true;
  if (outbox_.empty()) close("");
}

void Stream::destroy(const Napi::CallbackInfo&) {
  // What was written before, and only waits for the end of a callback.
  if (mayWrite()) writeOut();
  close("");
}

void Stream::listen() {
  const bool writes = again_ || wantsWrite_ || (opened_ && !outbox_.empty());
  const int events = (paused_ && opened_ ? 0 : UV_READABLE) | (writes ? UV_WRITABLE : 0);
  if (events == listening_) return;
  listening_ = events;
  if (events == 0) uv_poll_stop(poll_);
  else uv_poll_start(poll_, events, onPoll);
}

void Stream::close(const std::string& why) {
  if (closed_) return;
  closed_ = true;
  why_ = why;
  line_->stream = nullptr;
  lookout_->forget(this);
  ERR_clear_error();
  if (opened_ && !broken_ && outbox_.empty()) SSL_shutdown(ssl_.get());
  ERR_clear_error();
  outbox_.clear();
  uv_close(baseOf(poll_), [](uv_handle_t* handle) {
    auto* self = static_cast<Stream*>(handle->data);
    delete reinterpret_cast<uv_poll_t*>(handle);
    if (self != nullptr) self->finish();
  });
  asking_.end();
}

void Stream::finish() {
  poll_ = nullptr;
  ::close(descriptor_);
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  try {
    call(onClose_, {why_.empty() ? env.Undefined() : Napi::String::New(env, why_)});
  } catch (const Napi::Error& error) {
    napi_fatal_exception(env, error.Value());
  }
  Unref();
}

Napi::Value Stream::call(const Napi::FunctionReference& function, std::initializer_list<napi_value> arguments) {
  return function.MakeCallback(Value(), arguments, context_);
}

Napi::Value Stream::traffic(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const Napi::Array both = Napi::Array::New(env, 2);
  both.Set(0U, Napi::Number::New(env, static_cast<double>(BIO_number_read(SSL_get_rbio(ssl_.get())))));
  both.Set(1U, Napi::Number::New(env, static_cast<double>(BIO_number_written(SSL_get_wbio(ssl_.get())))));
  return both;
}

Napi::Function Stream::define(Napi::Env env) {
  return DefineClass(env, "Stream",
                     {InstanceMethod<&Stream::write>("write"), InstanceMethod<&Stream::pause>("pause"),
                      InstanceMethod<&Stream::resume>("resume"), InstanceMethod<&Stream::end>("end"),
                      InstanceMethod<&Stream::destroy>("destroy"), InstanceMethod<&Stream::peerChain>("peerChain"),
                      InstanceMethod<&Stream::traffic>("traffic"),
                      InstanceMethod<&Stream::answerOperation>("answerOperation"),
                      InstanceMethod<&Stream::endOperation>("endOperation"),
                      InstanceMethod<&Stream::keepAnswer>("keepAnswer"), InstanceMethod<&Stream::asked>("asked"),
                      InstanceMethod<&Stream::startAfresh>("startAfresh")});
}

Napi::Object exportTls(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("Context", Context::define(env));
  exports.Set("Stream", Stream::define(env));
  exports.Set("askedOperation", Napi::Function::New<askedOperation>(env));
  exports.Set("askedKeys", Napi::Function::New<askedKeys>(env));
  return exports;
}

}  // namespace tls
