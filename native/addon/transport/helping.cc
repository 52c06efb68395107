// What other threads do for the event loop: operations that take long, and some that several programs ask for at once.
#include <algorithm>

#include "transport.h"

namespace transport {

// Whether programs, or threads of one, call at the same time.
bool Transport::isOneOfSeveral(const Entry& entry, unsigned channel) {
  const std::pair<uint32_t, unsigned> caller{entry.id, channel};
  if (caller != lastCaller_) lastChange_ = now_;
  lastCaller_ = caller;
  return now_ < lastChange_ + HOT_NS;
}

// What may go to another thread of the operations that a request runs.
Help Transport::helpFor(Entry& entry, unsigned channel) {
  const bool isShared = isOneOfSeveral(entry, channel);
  const uint32_t bit = 1U << channel;
  const bool isBack = (entry.back & bit) != 0;
  entry.back &= ~bit;
  if (isBack) return Help::None;
  const bool isOfUse = away_.empty() || entry.keeping.isWorthIt();
  return isShared && isOfUse && spareProcessors_ > 0 ? Help::Any : Help::WithLong;
}

// With what was done `ahead` of a request that is still coming, if it is.
void Transport::handOver(Entry& entry, unsigned channel, Job&& job, std::unique_ptr<Ahead> ahead) {
  const auto& kept = entries_.at(entry.id);
  if (job.operation.place() == Repeatable::Place::Asked) return ask(kept, channel, std::move(job));
  const std::shared_ptr<Group> group(kept, &kept->group);
  const auto errand = std::make_shared<Errand>(std::move(job), ahead || entry.keeping.isWorthIt(), group, channel);
  errand->ahead = std::move(ahead);
  if (errand->takesLong()) {
    entry.expectsUntil = entry.lastAnswer = 0;
    awayLong_++;
  }
  group->lend(channel);
  away_.push_back({kept, errand});
  workers_.give(errand);
  readClock();
  usesOthers(processorsAway());
}

unsigned Transport::processorsAway() const {
  return static_cast<unsigned>(std::min<size_t>(away_.size(), spareProcessors_ + 1));
}

// Takes notice of what is over.
void Transport::collect() {
  if (collected_ == workers_.ended()) return;
  collected_ = workers_.ended();
  for (size_t i = away_.size(); i-- > 0;) {
    if (away_[i].errand->isOver()) takeBack(i);
  }
}

// So many processors are needed beside this one, now: by other threads, or by an HSM on this machine that is asked.
void Transport::usesOthers(unsigned processors) {
  lastBusy_ = now_;
  if (processors > busy_) setBusy(processors);
}

// Has nobody else work on a repeat. Comes before it ends, and before anything that may end it.
void Transport::bringBack(uint32_t repeat) {
  forgetAsked(repeat);
  for (size_t i = away_.size(); i-- > 0;) {
    if (away_[i].errand->job.repeat != repeat) continue;
    workers_.end(*away_[i].errand);
    takeBack(i);
  }
}

void Transport::takeBack(size_t index) {
  const Away away = std::move(away_[index]);
  away_.erase(away_.begin() + static_cast<std::ptrdiff_t>(index));
  Entry& entry = *away.entry;
  Errand& errand = *away.errand;
  if (errand.takesLong()) awayLong_--;
  repeats_.count(errand.job.repeat, errand.takeUses());
  repeats_.returned(errand.job);
  lastBusy_ = readClock();
  if (entry.closed) return;
  if (errand.state == Errand::State::Done) entry.lastAnswer = now_;
  if (errand.hadMore) {
    entry.keeping.was(*errand.hadMore);
    setBusy(processorsAway());
  }
  const bool isComing = errand.ahead != nullptr;
  if (isComing) {
    entry.ahead[errand.channel] = std::move(errand.ahead);
    errand.isAsked = entry.group.giveBack(errand.channel);
  }
  if (errand.isAsked) wakeUp(away.entry);
  if (isComing || errand.state == Errand::State::Done) return;
  // It is out of memory, or the like: then it is done here, or by JavaScript.
  if (errand.state == Errand::State::Failed) entry.back |= 1U << errand.channel;
  entry.group.putBack(errand.channel);
  entry.group.giveBack(errand.channel);
  wakeUp(away.entry);
}

void Transport::settle(const Napi::CallbackInfo&) {
  collect();
  for (const Away& away : away_) repeats_.count(away.errand->job.repeat, away.errand->takeUses());
}

Napi::Value Transport::operationsOfThreads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(workers_.operations()));
}

void Transport::setBusy(unsigned processors) {
  busy_ = processors;
  for (const auto& [id, entry] : entries_) entry->group.setBusy(processors);
}

}  // namespace transport
