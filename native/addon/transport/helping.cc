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
  if (!isHelping_) setHelping(true);
  helper_.give(std::move(job));
  lastHelp_ = readClock();
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

void Transport::setHelping(bool isHelping) {
  isHelping_ = isHelping;
  for (const auto& [id, entry] : entries_) entry->group.setBusy(isHelping ? 1 : 0);
}

}  // namespace transport
