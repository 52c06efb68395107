// What the helper does for several programs, or threads of one, that call at the same time.
#include "transport.h"

namespace transport {

// Whether programs, or threads of one, call at the same time.
bool Transport::isOneOfSeveral(const Entry& entry, unsigned channel) {
  const std::pair<uint32_t, unsigned> caller{entry.id, channel};
  if (caller != lastCaller_) lastChange_ = now_;
  lastCaller_ = caller;
  return now_ < lastChange_ + HOT_NS;
}

void Transport::handOver(Entry& entry, unsigned channel, Job&& job) {
  helped_ = Helped{entries_.at(entry.id), channel, job.repeat};
  helper_.give(std::move(job));
  readClock();
  usesAnother();
}

// Answers what was handed over, when it is done. Comes before its repeat ends, and before anything that may end it.
void Transport::takeBack() {
  const Helped helped = std::move(*helped_);
  helped_.reset();
  const Job job = helper_.fetch();
  repeats_.returned(job);
  if (helped.entry->closed) return;
  if (job.isAnswered) {
    helped.entry->group.answer(helped.channel, job.answer.data(), job.answer.size());
  } else {
    // It is out of memory, or the like. Then it is done here, or by JavaScript.
    isOfHelp_ = false;
    helped.entry->group.putBack(helped.channel);
  }
  helped.entry->lastAnswer = readClock();
}

// A processor is needed beside this one, now: by the helper, or by an HSM on this machine that is asked.
void Transport::usesAnother() {
  lastBusy_ = now_;
  if (!isBusy_) setBusy(true);
}

void Transport::setBusy(bool isBusy) {
  isBusy_ = isBusy;
  for (const auto& [id, entry] : entries_) entry->group.setBusy(isBusy ? 1 : 0);
}

}  // namespace transport
