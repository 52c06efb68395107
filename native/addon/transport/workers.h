// Threads beside the event loop's. Each runs an operation, answers the call that asked for it, and takes the next one: the
// program hears of it without the event loop, which finds out when it has a reason to look.
//
//            a thread takes it            it is run                    written, and the program woken
//   Waiting  ---------------->  Running  ---------->  Done  (the channel's next turn is the program's)
//      |                           |
//      | taken back                | it cannot be run
//      v                           v
//   TakenBack                   Failed  (the event loop is woken, and has the request looked at again)
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "group.h"
#include "repeats.h"

namespace transport {

// A job, and where its answer goes.
struct Errand {
  enum class State { Waiting, Running, Done, Failed, TakenBack };

  Errand(Job&& given, std::shared_ptr<Group> to, unsigned index)
      : job(std::move(given)), group(std::move(to)), channel(index) {}
  bool isOver() const { return state.load() > State::Running; }

  Job job;  // the thread's while it is Running
  const std::shared_ptr<Group> group;  // whose memory stays until the answer is written, whoever has gone
  const unsigned channel;
  std::atomic<State> state{State::Waiting};
};

class Workers {
 public:
  // `onFailed` may be called by any thread.
  Workers(unsigned most, std::function<void()> onFailed) : most_(most), onFailed_(std::move(onFailed)) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { stop(); }

  // What is waiting is never run, and nothing may be given any more.
  void stop();
  unsigned most() const { return most_; }
  // Fails it where there is no thread to be had.
  void give(std::shared_ptr<Errand> errand);
  // Takes it back, if no thread has begun it; else waits until it is over. An answer may still be on its way into the channel.
  void end(Errand& errand);
  // How many were ever done, or failed.
  unsigned ended() const { return ended_.load(); }

 private:
  bool hasThread();
  void work();
  void run(Errand& errand);

  const unsigned most_;
  const std::function<void()> onFailed_;
  std::mutex mutex_;  // of all below
  std::condition_variable given_;
  std::condition_variable over_;
  std::deque<std::shared_ptr<Errand>> waiting_;
  std::vector<std::thread> threads_;
  unsigned idle_ = 0;
  bool isStopping_ = false;
  std::atomic<unsigned> ended_{0};
};

}  // namespace transport
