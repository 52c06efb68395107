// Operations that another process is asked for: a channel waits for the answer, and its request is looked at again where there is none.
#include <openssl/crypto.h>

#include <algorithm>

#include "transport.h"

namespace transport {

// Where nobody can be asked JavaScript sees to it, in its turn.
void Transport::ask(const std::shared_ptr<Entry>& entry, unsigned channel, Job&& given) {
  const uint32_t repeat = given.repeat;
  entry->group.lend(channel);
  asked_.push_back({entry, channel, std::move(given), nullptr});
  const Job& job = asked_.back().job;
  const auto answered = [this, repeat](const std::optional<crypto::View>& output) { this->answered(repeat, output); };
  asked_.back().question = job.operation.ask(job.request.data(), job.request.size(), answered);
  if (asked_.back().question == nullptr) return endAsking(asked_.size() - 1, std::nullopt);
  entry->lastAnswer = 0;
  entry->working++;
  working_++;
  lastWork_ = readClock();
  asked_.back().isWorking = true;
}

void Transport::answered(uint32_t repeat, const std::optional<crypto::View>& output) {
  const auto isIt = [repeat](const Asked& asked) { return asked.job.repeat == repeat; };
  const auto found = std::find_if(asked_.begin(), asked_.end(), isIt);
  if (found != asked_.end()) endAsking(static_cast<size_t>(found - asked_.begin()), output);
}

void Transport::forgetAsked(uint32_t repeat) {
  for (const Asked& asked : asked_) {
    if (asked.job.repeat == repeat && asked.question != nullptr) *asked.question = nullptr;
  }
  answered(repeat, std::nullopt);
}

void Transport::endAsking(size_t index, const std::optional<crypto::View>& output) {
  Asked asked = std::move(asked_[index]);
  asked_.erase(asked_.begin() + static_cast<std::ptrdiff_t>(index));
  Entry& entry = *asked.entry;
  Octets answer;
  const bool isRun = asked.job.operation.conclude(output, &answer);
  if (isRun) {
    repeats_.count(asked.job.repeat, {0, 1});
    operationsAsked_++;
  }
  repeats_.returned(asked.job);
  if (entry.closed) return;
  const uint64_t now = readClock();
  if (asked.isWorking) {
    entry.working--;
    working_--;
    lastWork_ = now;
  }
  if (!isRun) {
    entry.back |= 1U << asked.channel;
    entry.group.putBack(asked.channel);
    entry.group.giveBack(asked.channel);
    return wakeUp(asked.entry);
  }
  // First, so that the program's next call need not ring.
  if (mayLook(entry, now)) wakeUp(asked.entry);
  entry.group.answer(asked.channel, answer.data(), answer.size());
  OPENSSL_cleanse(answer.data(), answer.size());
  entry.lastAnswer = now;
}

Napi::Value Transport::operationsAsked(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(operationsAsked_));
}

}  // namespace transport
