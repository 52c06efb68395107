// Yields a processor to who else wants it, as long as they are soon done with it.
#pragma once

#include <sched.h>
#include <uv.h>

#include <algorithm>
#include <cstdint>

namespace tls {

// A processor that was yielded to somebody who computes comes back when their time is over, after milliseconds. Whoever sleeps gets it
// from them when woken: so there is no yielding for a while then, and twice as long each time that it is no better afterwards.
class GivingWay {
 public:
  // Whether yielding promises anything.
  bool isQuick(uint64_t now) const { return now >= until_; }

  void yield() {
    const uint64_t began = uv_hrtime();
    sched_yield();
    const uint64_t now = uv_hrtime();
    if (now - began <= LONG_NS) return;
    pause_ = began < until_ + pause_ ? std::min(2 * pause_, LONGEST_PAUSE_NS) : FIRST_PAUSE_NS;
    until_ = now + pause_;
  }

 private:
  static constexpr uint64_t LONG_NS = 250'000;
  static constexpr uint64_t FIRST_PAUSE_NS = 2'000'000;
  static constexpr uint64_t LONGEST_PAUSE_NS = 32'000'000;

  uint64_t until_ = 0;
  uint64_t pause_ = 0;
};

}  // namespace tls
