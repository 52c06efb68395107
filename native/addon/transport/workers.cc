#include "workers.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <pthread.h>
#include <sched.h>
#include <uv.h>

#include <algorithm>
#include <array>
#include <new>
#include <system_error>

#include "../crypto/failure.h"

namespace transport {

namespace {

// A program that has been answered calls again within this, or not soon: it has to be woken first.
constexpr uint64_t KEEP_NS = 200'000;
// The same of a thread that sleeps meanwhile, and is in nobody's way.
constexpr uint64_t KEEP_ASLEEP_NS = 2'000'000;
// A program's thread and ours, one of which computes while the other waits, use up a processor. More threads than processors are of use
// because each can be where its program's is.
constexpr size_t THREADS_PER_PROCESSOR = 8;
// A thread looks at no more channels than this: they wait for each other's operations.
constexpr size_t MOST_KEPT = 4;
// How often a thread looks before it lets others have its processor: the program may wait for it.
constexpr unsigned LOOKS = 16;

}  // namespace

void Errand::count(Operation::Did did) {
  if (did == Operation::Did::Begin) begun++;
  if (did == Operation::Did::Run) run++;
}

void Errand::answer(Octets& bytes) const {
  group->answer(channel, bytes.data(), bytes.size());
  OPENSSL_cleanse(bytes.data(), bytes.size());
}

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
  if (waiting_.size() < idle_ || threads_.size() == THREADS_PER_PROCESSOR * processors_) return true;
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
      waitingNow_++;
    }
  }
  if (errand == nullptr) {
    given_.notify_one();
  } else {
    onAsked_();
  }
}

void Workers::end(Errand& errand) {
  std::unique_lock<std::mutex> lock(mutex_);
  const auto isIt = [&](const std::shared_ptr<Errand>& other) { return other.get() == &errand; };
  const auto found = std::find_if(waiting_.begin(), waiting_.end(), isIt);
  if (found != waiting_.end()) {
    errand.state = Errand::State::TakenBack;
    waiting_.erase(found);
    waitingNow_--;
    return;
  }
  errand.isWanted = true;
  errand.group->ring(errand.channel);
  over_.wait(lock, [&] { return errand.isOver(); });
}

void Workers::work() {
#ifdef __linux__
  pthread_setname_np(pthread_self(), "cloudhsm-worker");
#endif
  std::array<uint8_t, CHANNEL_DATA_BYTES> inbox;
  std::vector<Kept> kept;
  kept.reserve(MOST_KEPT);
  Following following;
  while (!isStopping_) {
    // In turns, so that those who wait and those who are kept come to theirs.
    std::shared_ptr<Errand> errand = take(kept.empty());
    const bool isGiven = errand != nullptr;
    if (isGiven && begin(*errand, kept.size() < MOST_KEPT)) {
      kept.push_back({std::move(errand), uv_hrtime() + keepNs()});
      kept_++;
    }
    if (!lookAt(kept, following, inbox.data()) && !isGiven) giveWay(kept);
  }
  for (const Kept& last : kept) giveBack(*last.errand);
}

// Nothing, where nobody waits or an idle thread is about to take it.
std::shared_ptr<Errand> Workers::take(bool mayWait) {
  if (!mayWait && waitingNow_ <= idle_) return nullptr;
  std::unique_lock<std::mutex> lock(mutex_);
  if (mayWait) {
    idle_++;
    given_.wait(lock, [this] { return isStopping_ || !waiting_.empty(); });
    idle_--;
  }
  if (isStopping_ || waiting_.empty()) return nullptr;
  std::shared_ptr<Errand> errand = std::move(waiting_.front());
  waiting_.pop_front();
  waitingNow_--;
  errand->state = Errand::State::Running;
  return errand;
}

// Runs what an errand was given for. False: it is over; else its channel is kept.
bool Workers::begin(Errand& errand, bool mayKeep) {
  if (errand.ahead) return beginAhead(errand, mayKeep);
  const Octets& request = errand.job.request;
  Octets answer;
  const Operation::Did did =
      errand.job.operation.answer(Operation::Thread::Other, request.data(), request.size(), &answer);
  if (did == Operation::Did::Nothing) {
    finish(errand, Errand::State::Failed);
    onAsked_();
    return false;
  }
  count(errand, did);
  const bool keeps = errand.keeps && mayKeep;
  if (keeps) {
    errand.hadMore = false;
    errand.group->watch(errand.channel, true);
  } else {
    // Before the answer: with it the program may go on, and what it asks next must find the job done.
    finish(errand, Errand::State::Done);
  }
  errand.answer(answer);
  return keeps;
}

bool Workers::beginAhead(Errand& errand, bool mayKeep) {
  errand.hadMore = false;
  if (mayKeep) errand.group->watch(errand.channel, true);
  if (mayKeep && goAhead(errand)) return true;
  giveBack(errand);
  return false;
}

uint64_t Workers::keepNs() const { return isCrowded() ? KEEP_ASLEEP_NS : KEEP_NS; }

// Lets others have this processor. Who yields it has it back before a program of another session, or of another control group, where
// processors are shared out among those; who sleeps gives it to the one that it waits for.
void Workers::giveWay(const std::vector<Kept>& kept) {
  if (!sharesProcessor(kept)) {
    sched_yield();
    return;
  }
  const Errand& errand = *kept.front().errand;
  const uint64_t now = uv_hrtime(), until = kept.front().untilNs;
  if (now >= until) return;
  errand.group->sleep(errand.channel, until - now,
                      [&] { return !errand.isWanted && !isStopping_ && waitingNow_ == 0; });
}

// Whether anything came. Runs one operation at most: the event loop may be waiting for another errand.
bool Workers::lookAt(std::vector<Kept>& kept, Following& following, uint8_t* inbox) {
  // Another thread has nothing to do: it had better work for one of them.
  if (kept.size() > 1 && idle_ > 0) kept.front().untilNs = 0;
  const uint64_t now = uv_hrtime();
  for (unsigned look = 0; look < LOOKS; look++) {
    for (size_t i = 0; i < kept.size(); i++) {
      const Visit what = visit(kept[i], now, inbox);
      if (what == Visit::Answered && sharesProcessor(kept)) {
        const Errand& errand = *kept[i].errand;
        following.sawAt(errand.group->processor(errand.channel));
      }
      if (what == Visit::Nothing) continue;
      const auto there = kept.begin() + static_cast<std::ptrdiff_t>(i);
      // The others come first next time.
      std::rotate(there, there + 1, kept.end());
      if (what == Visit::Over) {
        kept.pop_back();
        kept_--;
      }
      return true;
    }
    shared_pause();
  }
  return false;
}

Workers::Visit Workers::visit(Kept& kept, uint64_t now, uint8_t* inbox) {
  Errand& errand = *kept.errand;
  const bool isEnough = errand.isWanted || kept.untilNs == 0;
  const bool isAsked = errand.group->isAsked(errand.channel);
  if (!isEnough && isAsked && dealWithNext(errand, inbox)) {
    errand.hadMore = true;
    kept.untilNs = uv_hrtime() + keepNs();
    return Visit::Answered;
  }
  if (!isEnough && !isAsked && now < kept.untilNs) return Visit::Nothing;
  giveBack(errand);
  return Visit::Over;
}

// Whether what came next could be dealt with; else it is the event loop's.
bool Workers::dealWithNext(Errand& errand, uint8_t* inbox) {
  Group& group = *errand.group;
  size_t length = 0;
  const Found found = takeNext(errand, inbox, &length);
  if (found == Found::Part) return group.isComing(errand.channel) && goAhead(errand);
  if (found != Found::Request) return false;
  const bool isLarge = length > CHANNEL_DATA_BYTES;
  const bool isAnswered = answer(errand, isLarge ? group.large(errand.channel).data() : inbox, length);
  if (!isLarge) OPENSSL_cleanse(inbox, length);
  if (!isAnswered) group.putBack(errand.channel);
  return isAnswered;
}

// A part of a large request is only taken where that could be worked on as it comes.
Found Workers::takeNext(Errand& errand, uint8_t* inbox, size_t* length) {
  const Group& group = *errand.group;
  if (!group.isShort(errand.channel) && !errand.job.operation.isBegun()) return Found::Nothing;
  try {
    return errand.group->take(errand.channel, frameBytes_, inbox, length);
  } catch (const std::bad_alloc&) {
    return Found::Nothing;
  }
}

// Whether it could work on as much of a large request as has come.
bool Workers::goAhead(Errand& errand) {
  const Frame& frame = errand.group->large(errand.channel);
  const Operation& operation = errand.job.operation;
  try {
    if (frame.size() == CHANNEL_DATA_BYTES && !errand.ahead && operation.concerns(frame.data(), frame.size()))
      errand.ahead = operation.ahead(frame.data(), frame.size(), errand.group->comingBytes(errand.channel));
    if (errand.ahead) errand.ahead->goOn(frame.data(), frame.size());
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    errand.ahead.reset();
  } catch (const std::bad_alloc&) {
    errand.ahead.reset();
  }
  return errand.ahead != nullptr;
}

bool Workers::answer(Errand& errand, const uint8_t* request, size_t length) {
  Operation& operation = errand.job.operation;
  const std::unique_ptr<Ahead> ahead = std::move(errand.ahead);
  if (!operation.concerns(request, length)) return false;
  Octets answer;
  const auto did = operation.answer(Operation::Thread::Other, request, length, &answer, ahead.get());
  if (did == Operation::Did::Nothing) return false;
  if (length > CHANNEL_DATA_BYTES) errand.group->handedOn(errand.channel);
  count(errand, did);
  errand.answer(answer);
  return true;
}

void Workers::count(Errand& errand, Operation::Did did) {
  errand.count(did);
  if (did == Operation::Did::Run) operations_++;
}

void Workers::finish(Errand& errand, Errand::State state) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    errand.state = state;
    ended_++;
  }
  over_.notify_all();
}

// Where a request is still coming, the event loop has the channel once it has what was done of it.
void Workers::giveBack(Errand& errand) {
  if (!errand.ahead) errand.isAsked = errand.group->giveBack(errand.channel);
  finish(errand, Errand::State::Done);
  onAsked_();
}

}  // namespace transport
