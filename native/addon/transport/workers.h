// Threads beside the event loop's. Each runs an operation and answers the call that asked for it: the program hears of it without
// the event loop, which finds out when it has a reason to look. The thread keeps the program's channel for a while and answers
// what comes next as well, while it works for others that wait. Where a request is still coming, the thread works on it as it comes, and
// the event loop goes on where the thread has left off.
//
//            a thread takes it            it is run, others may have come, too     nothing more, or something else
//   Waiting  ---------------->  Running  ------------------------------------>  Done  (the channel is the event loop's again)
//      |                           |
//      | taken back                | the first of them cannot be run
//      v                           v
//   TakenBack                   Failed  (the event loop is woken, and has the request looked at again)
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "following.h"
#include "group.h"
#include "repeats.h"

namespace transport {

// A job, and where it came from.
struct Errand {
  enum class State { Waiting, Running, Done, Failed, TakenBack };

  Errand(Job&& given, bool mayKeep, std::shared_ptr<Group> from, unsigned index)
      : job(std::move(given)), keeps(mayKeep), group(std::move(from)), channel(index) {}
  bool isOver() const { return state.load() > State::Running; }
  bool takesLong() const { return keeps || job.operation.place() == Repeatable::Place::Elsewhere; }
  // How often its operation was begun and run since that was last asked. Any thread may.
  Uses takeUses() { return {begun.exchange(0), run.exchange(0)}; }
  void count(Operation::Did did);
  // Answers the call that is under way, and overwrites the answer here.
  void answer(Octets& bytes) const;

  Job job;  // the thread's while it is Running
  std::unique_ptr<Ahead> ahead;  // so is this: of a request that is still coming
  const bool keeps;  // the thread may look for the program's next call
  const std::shared_ptr<Group> group;  // whose memory stays until the answer is written, whoever has gone
  const unsigned channel;  // lent to the thread
  std::atomic<State> state{State::Waiting};
  std::atomic<bool> isWanted{false};  // the event loop waits for it
  std::atomic<unsigned> begun{0};
  std::atomic<unsigned> run{0};
  // When it is over:
  bool isAsked = false;  // there is something on the channel that nobody was rung for
  std::optional<bool> hadMore;  // where its channel was kept: whether another one came
};

class Workers {
 public:
  // `frameBytes` bounds requests. `onAsked` is called by any thread, when an errand is over that the event loop had better hear of.
  Workers(unsigned processors, size_t frameBytes, std::function<void()> onAsked)
      : processors_(processors), frameBytes_(frameBytes), onAsked_(std::move(onAsked)) {}
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers() { stop(); }

  // What is waiting is never run, and nothing may be given any more.
  void stop();
  // Fails it where there is no thread to be had.
  void give(std::shared_ptr<Errand> errand);
  // Takes it back, if no thread has begun it; else waits until it is over. An answer may still be on its way into the channel.
  void end(Errand& errand);
  // How many were ever done, or failed.
  unsigned ended() const { return ended_.load(); }
  // How many operations the threads have run. One counts before it is answered.
  uint64_t operations() const { return operations_.load(); }

 private:
  // Errands that a thread keeps, and until when it looks for more.
  struct Kept {
    std::shared_ptr<Errand> errand;
    uint64_t untilNs;  // 0: no longer
  };
  enum class Visit { Nothing, Answered, Over };

  bool hasThread();
  // Whether each processor has a program's thread that calls, and one of ours that works for it.
  bool isCrowded() const { return kept_ >= processors_; }
  // Whether a thread that keeps these had better be where the program's is.
  bool sharesProcessor(const std::vector<Kept>& kept) const { return kept.size() == 1 && isCrowded(); }
  void count(Errand& errand, Operation::Did did);
  void work();
  std::shared_ptr<Errand> take(bool mayWait);
  bool begin(Errand& errand, bool mayKeep);
  bool beginAhead(Errand& errand, bool mayKeep);
  uint64_t keepNs() const;
  void giveWay(const std::vector<Kept>& kept);
  bool lookAt(std::vector<Kept>& kept, Following& following, uint8_t* inbox);
  Visit visit(Kept& kept, uint64_t now, uint8_t* inbox);
  bool dealWithNext(Errand& errand, uint8_t* inbox);
  Found takeNext(Errand& errand, uint8_t* inbox, size_t* length);
  bool goAhead(Errand& errand);
  bool answer(Errand& errand, const uint8_t* request, size_t length);
  void finish(Errand& errand, Errand::State state);
  void giveBack(Errand& errand);

  const unsigned processors_;
  const size_t frameBytes_;
  const std::function<void()> onAsked_;
  std::atomic<unsigned> waitingNow_{0};  // as many as are in waiting_
  std::atomic<unsigned> idle_{0};  // threads that have nothing at all
  std::atomic<unsigned> kept_{0};  // channels that threads keep
  std::atomic<bool> isStopping_{false};
  std::atomic<unsigned> ended_{0};
  std::atomic<uint64_t> operations_{0};
  std::mutex mutex_;  // of all below
  std::condition_variable given_;
  std::condition_variable over_;
  std::deque<std::shared_ptr<Errand>> waiting_;
  std::vector<std::thread> threads_;
};

}  // namespace transport
