#include "workers.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>

namespace transport {

void Workers::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    isStopping_ = true;
  }
  given_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

// One that is idle, or another one if there may be, or any that will take it in its turn.
bool Workers::hasThread() {
  if (waiting_.size() < idle_ || threads_.size() == most_) return true;
  try {
    threads_.emplace_back([this] { work(); });
    return true;
  } catch (const std::system_error&) {
    return !threads_.empty();
  }
}

void Workers::give(std::shared_ptr<Errand> errand) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!hasThread()) {
      errand->state = Errand::State::Failed;
      ended_++;
    } else {
      waiting_.push_back(std::move(errand));
    }
  }
  if (errand == nullptr) {
    given_.notify_one();
  } else {
    onFailed_();
  }
}

void Workers::end(Errand& errand) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto isIt = [&](const std::shared_ptr<Errand>& other) { return other.get() == &errand; };
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), isIt);
  if (found != waiting_.end()) {
    errand.state = Errand::State::TakenBack;
    waiting_.erase(found);
  }
  over_.wait(lock, [&] { return errand.isOver(); });
}

void Workers::work() {
#ifdef __linux__
  pthread_setname_np(pthread_self(), "cloudhsm-worker");
#endif
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    idle_++;
    given_.wait(lock, [this] { return isStopping_ || !waiting_.empty(); });
    idle_--;
    if (isStopping_) return;
    std::shared_ptr<Errand> errand = std::move(waiting_.front());
    waiting_.pop_front();
    errand->state = Errand::State::Running;
    lock.unlock();
    run(*errand);
    errand.reset();
    lock.lock();
  }
}

void Workers::run(Errand& errand) {
  Job& job = errand.job;
  job.run();
  const bool isAnswered = job.isAnswered;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    errand.state = isAnswered ? Errand::State::Done : Errand::State::Failed;
    ended_++;
  }
  over_.notify_all();
  // Only now: with the answer the program may go on, and what it asks next must find the job done.
  if (isAnswered) {
    errand.group->answer(errand.channel, job.answer.data(), job.answer.size());
  } else {
    onFailed_();
  }
}

}  // namespace transport
