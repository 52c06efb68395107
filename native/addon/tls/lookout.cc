#include "lookout.h"

#include <sched.h>

#include <algorithm>

namespace tls {

namespace {

// As long as the module looks for an answer (native/pkcs11/channel_memory.c).
constexpr uint64_t LOOK_NS = 50'000;
constexpr unsigned MOST_IN_VAIN = 4;

}  // namespace

Lookout::Lookout(uv_loop_t* loop) : handle_(new uv_idle_t) {
  uv_idle_init(loop, handle_);
  // The connections keep the process alive, not this.
  uv_unref(reinterpret_cast<uv_handle_t*>(handle_));
  handle_->data = this;
}

Lookout::~Lookout() {
  uv_close(reinterpret_cast<uv_handle_t*>(handle_),
           [](uv_handle_t* handle) { delete reinterpret_cast<uv_idle_t*>(handle); });
}

void Lookout::begin() {
  // With a single processor the other end cannot run meanwhile.
  static const bool alone = uv_available_parallelism() == 1;
  if (alone) return;
  if (leftOut_ > 0) {
    leftOut_--;
    return;
  }
  until_ = uv_hrtime() + LOOK_NS;
  looking_ = true;
  uv_idle_start(handle_, onTurnOfLoop);
}

void Lookout::found() {
  if (!looking_) return;
  looking_ = false;
  inVain_ = 0;
  uv_idle_stop(handle_);
}

// While an idle handle is active, the event loop asks for what has come and does not wait for it.
void Lookout::onTurnOfLoop(uv_idle_t* handle) {
  auto* self = static_cast<Lookout*>(handle->data);
  if (uv_hrtime() < self->until_) {
    // Who else wants this processor, and that may be the other end, goes first.
    sched_yield();
    return;
  }
  self->looking_ = false;
  self->inVain_ = std::min(self->inVain_ + 1, MOST_IN_VAIN);
  self->leftOut_ = (1U << self->inVain_) - 1;
  uv_idle_stop(handle);
}

}  // namespace tls
