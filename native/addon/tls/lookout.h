// Looks for what answers a message for a while before the event loop sleeps: being woken costs a processor more than that. And has what
// is written meanwhile go out in one piece.
#pragma once

#include <uv.h>

#include <cstdint>
#include <vector>

#include "../loop-handle.h"
#include "giving-way.h"

namespace tls {

// A connection, as it is looked at. Neither function throws.
class LookedAt {
 public:
  // Takes what has come, if anything: whether something has.
  virtual bool look() = 0;
  // Writes what was gathered.
  virtual void send() = 0;

 protected:
  ~LookedAt() = default;
};

// One per event loop.
class Lookout {
 public:
  explicit Lookout(uv_loop_t* loop);
  Lookout(const Lookout&) = delete;
  Lookout& operator=(const Lookout&) = delete;

  // Something was written, which may be answered soon.
  void begin(LookedAt* at);
  // Something has come.
  void found(LookedAt* at);
  // It is not to be looked at any more.
  void forget(LookedAt* at);

  bool looking() const { return !places_.empty(); }
  // Who else wants this processor, and that may be the other end, goes first; then looks once. In its turn of the event loop
  // nobody else does: for who looks for other things as well.
  void lookOnce();
  // Whether several have used this event loop just now: nobody may keep it for long.
  bool isCrowded() const { return uv_hrtime() < crowdedUntil_; }
  void crowd() { crowdedUntil_ = uv_hrtime() + CROWDED_NS; }
  // Something has come, from another one than before perhaps.
  void heard(const LookedAt* at) {
    if (at != lastHeard_) crowd();
    lastHeard_ = at;
  }
  // For who looks for other things: others go first, if they are soon done.
  void giveWay() {
    if (givingWay_.isQuick(uv_hrtime())) givingWay_.yield();
  }

  // Whether what is written now is sent later, by `send`: not where the work so far took so long that nobody should wait for more of it.
  bool mayGather();
  void gathered(LookedAt* at) { unsent_.push_back(at); }
  // What connections write during `work` is sent in one piece for each of them.
  template <typename Work>
  void gather(const Work& work) {
    const bool within = gathering_;
    if (!within) startGathering();
    try {
      work();
    } catch (...) {
      gathering_ = within;
      throw;
    }
    gathering_ = within;
    if (!within && !unsent_.empty()) sendAll();
  }

 private:
  struct Place {
    LookedAt* at;
    uint64_t until;
  };

  static constexpr uint64_t CROWDED_NS = 100'000'000;

  void startGathering();
  static void onTurnOfLoop(uv_idle_t* handle);
  void look();
  void dropLate();
  void drop(LookedAt* at);
  void sendAll();

  LoopHandle<uv_idle_t> handle_;
  GivingWay givingWay_;
  // Who was written to last is last.
  std::vector<Place> places_;
  std::vector<LookedAt*> unsent_;
  bool gathering_ = false;
  uint64_t gathersUntil_ = 0;
  uint64_t crowdedUntil_ = 0;
  const LookedAt* lastHeard_ = nullptr;  // only ever compared
  bool hasLooked_ = false;  // in this turn of the loop, by lookOnce
  // After each time in vain, looking is left out more often: the other end may be slow, or far away.
  unsigned inVain_ = 0;
  unsigned leftOut_ = 0;
};

}  // namespace tls
