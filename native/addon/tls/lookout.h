// Looks for what answers a message for a while before the event loop sleeps: being woken costs a processor more than that.
#pragma once

#include <uv.h>

#include <cstdint>

namespace tls {

// One per event loop.
class Lookout {
 public:
  explicit Lookout(uv_loop_t* loop);
  ~Lookout();
  Lookout(const Lookout&) = delete;
  Lookout& operator=(const Lookout&) = delete;

  // Something was written, which may be answered soon.
  void begin();
  // Something has come.
  void found();

 private:
  static void onTurnOfLoop(uv_idle_t* handle);

  uv_idle_t* handle_;
  uint64_t until_ = 0;
  bool looking_ = false;
  // After each time in vain, looking is left out more often: the other end may be slow, or far away.
  unsigned inVain_ = 0;
  unsigned leftOut_ = 0;
};

}  // namespace tls
