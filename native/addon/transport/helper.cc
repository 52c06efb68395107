#include "helper.h"

#include <system_error>

namespace transport {

Helper::~Helper() {
  if (!thread_.joinable()) return;
  change(State::Over);
  thread_.join();
}

bool Helper::isStarted() {
  if (thread_.joinable()) return true;
  try {
    thread_ = std::thread([this] { work(); });
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void Helper::change(State to) {
  {
    // The thread looks and falls asleep under it.
    const std::lock_guard<std::mutex> lock(mutex_);
    state_.store(to);
  }
  changed_.notify_one();
}

void Helper::give(Job&& job) {
  job_ = std::move(job);
  if (isStarted()) {
    change(State::Given);
  } else {
    job_.run();
    state_.store(State::Done);
  }
}

Job Helper::fetch() {
  State given = State::Given;
  if (state_.compare_exchange_strong(given, State::Running)) {
    job_.run();
  } else {
    while (!isDone()) std::this_thread::yield();
  }
  state_.store(State::Idle);
  return std::move(job_);
}

void Helper::work() {
  for (;;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return state_ == State::Given || state_ == State::Over; });
    }
    State given = State::Given;
    if (state_.compare_exchange_strong(given, State::Running)) {
      job_.run();
      State running = State::Running;
      state_.compare_exchange_strong(running, State::Done);
    }
    if (state_ == State::Over) return;
  }
}

}  // namespace transport
