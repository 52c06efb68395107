// A thread beside the event loop's, which runs one job at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "repeats.h"

namespace transport {

class Helper {
 public:
  Helper() = default;
  Helper(const Helper&) = delete;
  Helper& operator=(const Helper&) = delete;
  ~Helper();

  // Takes a job, where it has none. It is done at once where there is no thread to be had.
  void give(Job&& job);
  bool isDone() const { return state_.load(std::memory_order_acquire) == State::Done; }
  // The job that was given, when it has been run: by the caller, where the thread has not got to it yet.
  Job fetch();

 private:
  enum class State { Idle, Given, Running, Done, Over };
  bool isStarted();
  void change(State to);
  void work();

  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<State> state_{State::Idle};
  Job job_{};  // the thread's while it is Running, the caller's otherwise
};

}  // namespace transport
