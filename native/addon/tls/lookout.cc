#include "lookout.h"

#include <algorithm>
#include <array>

namespace tls {

namespace {

// As long as the module gives way while it looks (native/pkcs11/channel_memory.c). An HSM, its client and a program wait for each other:
// where one of them sleeps, the others soon look in vain for as long as it takes to wake it, which is up to 50 us on virtual machines.
constexpr uint64_t LOOK_NS = 250'000;
// So much of it at a time: then others, timers and sockets, have their turn.
constexpr uint64_t SLICE_NS = 20'000;
// A record of its own costs less than waiting for this.
constexpr uint64_t GATHER_NS = 20'000;
constexpr unsigned MOST_IN_VAIN = 2;
// Where more than these are looked for, the event loop asks for all of them at once.
constexpr std::size_t MOST_PLACES = 4;

}  // namespace

Lookout::Lookout(uv_loop_t* loop)
    : handle_(loopHandle<uv_idle_t>(this, [loop](uv_idle_t* handle) { uv_idle_init(loop, handle); })) {}

void Lookout::begin(LookedAt* at) {
  // With a single processor the other end cannot run meanwhile.
  static const bool alone = uv_available_parallelism() == 1;
  if (alone) return;
  if (leftOut_ > 0) {
    leftOut_--;
    return;
  }
  const uint64_t now = uv_hrtime();
  if (!givingWay_.isQuick(now)) return;
  drop(at);
  places_.push_back({at, now + LOOK_NS});
  uv_idle_start(handle_.get(), onTurnOfLoop);
}

void Lookout::drop(LookedAt* at) {
  const auto isIt = [at](const Place& place) { return place.at == at; };
  places_.erase(std::remove_if(places_.begin(), places_.end(), isIt), places_.end());
  if (places_.empty()) uv_idle_stop(handle_.get());
}

void Lookout::found(LookedAt* at) {
  if (places_.empty()) return;
  inVain_ = 0;
  drop(at);
}

void Lookout::forget(LookedAt* at) {
  drop(at);
  unsent_.erase(std::remove(unsent_.begin(), unsent_.end(), at), unsent_.end());
}

void Lookout::lookOnce() {
  hasLooked_ = true;
  look();
}

void Lookout::look() {
  givingWay_.yield();
  bool any = false;
  if (places_.size() <= MOST_PLACES) {
    std::array<LookedAt*, MOST_PLACES> all{};
    std::transform(places_.begin(), places_.end(), all.begin(), [](const Place& place) { return place.at; });
    // None of them ends its life before the event loop's turn does.
    for (LookedAt* at : all) any = (at != nullptr && at->look()) || any;
  }
  if (!any && looking()) dropLate();
}

void Lookout::dropLate() {
  const uint64_t now = uv_hrtime();
  // They were written to one after the other.
  const auto isLate = [now](const Place& place) { return place.until <= now; };
  places_.erase(places_.begin(), std::find_if_not(places_.begin(), places_.end(), isLate));
  if (!places_.empty()) return;
  inVain_ = std::min(inVain_ + 1, MOST_IN_VAIN);
  leftOut_ = (1U << inVain_) - 1;
  uv_idle_stop(handle_.get());
}

// While an idle handle is active, the event loop asks for what has come and does not wait for it.
void Lookout::onTurnOfLoop(uv_idle_t* handle) {
  auto* self = static_cast<Lookout*>(handle->data);
  if (self->hasLooked_) {
    self->hasLooked_ = false;
    return;
  }
  const uint64_t end = uv_hrtime() + SLICE_NS;
  do self->look();
  while (self->looking() && self->places_.size() <= MOST_PLACES && uv_hrtime() < end);
}

void Lookout::startGathering() {
  gathering_ = true;
  gathersUntil_ = uv_hrtime() + GATHER_NS;
}

bool Lookout::mayGather() {
  if (!gathering_) return false;
  const uint64_t now = uv_hrtime();
  if (now < gathersUntil_) return true;
  gathersUntil_ = now + GATHER_NS;
  return false;
}

void Lookout::sendAll() {
  // What is written meanwhile is sent at once.
  std::vector<LookedAt*> unsent;
  unsent.swap(unsent_);
  for (LookedAt* at : unsent) at->send();
}

}  // namespace tls
