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
  return isShared && away_.empty() && spareProcessors_ > 0 ? Help::Any : Help::WithLong;
}

void Transport::handOver(Entry& entry, unsigned channel, Job&& job) {
  const auto& kept = entries_.at(entry.id);
  const std::shared_ptr<Group> group(kept, &kept->group);
  if (job.work->place() == Repeatable::Place::Elsewhere) {
    entry.expectsUntil = entry.lastAnswer = 0;
    awayLong_++;
  }
  away_.push_back({kept, std::make_shared<Errand>(std::move(job), group, channel)});
  workers_.give(away_.back().errand);
  readClock();
  usesOthers(static_cast<unsigned>(std::min<size_t>(away_.size(), workers_.most())));
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
  for (size_t i = away_.size(); i-- > 0;) {
    if (away_[i].errand->job.repeat != repeat) continue;
    workers_.end(*away_[i].errand);
    takeBack(i);
  }
}

void Transport::takeBack(size_t index) {
  const Away away = std::move(away_[index]);
  away_.erase(away_.begin() + static_cast<std::ptrdiff_t>(index));
  const Errand& errand = *away.errand;
  if (errand.job.work->place() == Repeatable::Place::Elsewhere) awayLong_--;
  repeats_.returned(errand.job);
  lastBusy_ = readClock();
  if (away.entry->closed) return;
  if (errand.job.isAnswered) {
    away.entry->lastAnswer = now_;
    return;
  }
  // It is out of memory, or the like: then it is done here, or by JavaScript.
  if (errand.state == Errand::State::Failed) away.entry->back |= 1U << errand.channel;
  away.entry->group.putBack(errand.channel);
  wakeUp(away.entry);
}

void Transport::setBusy(unsigned processors) {
  busy_ = processors;
  for (const auto& [id, entry] : entries_) entry->group.setBusy(processors);
}

}  // namespace transport
