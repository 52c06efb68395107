// Operations that another process is asked for: a channel waits for the answer, and its request is looked at again where there is none.
#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

#include "transport.h"

namespace transport {

void Transport::ask(const std::shared_ptr<Entry>& entry, unsigned channel, Job&& given) {
  const auto job = std::make_shared<Job>(std::move(given));
  const auto ask = [&job](Question question) {
    return job->operation.ask(job->request.data(), job->request.size(), std::move(question));
  };
  wait(entry, channel, job->repeat, ask, [this, job](const std::optional<crypto::View>& output, Octets* answer) {
    const bool isRun = job->operation.conclude(output, answer);
    if (isRun) repeats_.count(job->repeat, {0, 1});
    repeats_.returned(*job);
    return isRun;
  });
}

// Whether a request is about keys that its session makes again and again, and was seen to.
bool Transport::makeOrDestroy(Entry& entry, unsigned channel, size_t length) {
  if (length > CHANNEL_DATA_BYTES || (entry.back & 1U << channel) != 0) return false;
  const std::shared_ptr<MadeKeys> keys = making_.find(entry.owner, inboxBytes_, length);
  if (keys == nullptr) return false;
  if (keys->isMade(inboxBytes_, length)) {
    const auto ask = [&keys](Question question) { return keys->ask(std::move(question)); };
    std::memset(inboxBytes_, 0, length);
    wait(entries_.at(entry.id), channel, 0, ask, [this, keys](const std::optional<crypto::View>& output, Octets* answer) {
      const bool isKey = keys->conclude(output, answer);
      if (!keys->isEnded()) making_.changed(keys);
      return isKey;
    });
    return true;
  }
  if (!keys->destroy(inboxBytes_, length, &repeated_)) return false;
  making_.changed(keys);
  std::memset(inboxBytes_, 0, length);
  answerWithRepeated(entry, channel);
  return true;
}

// Where nobody can be asked JavaScript sees to it, in its turn.
void Transport::wait(const std::shared_ptr<Entry>& entry, unsigned channel, uint32_t repeat, const Ask& ask,
                     Conclude conclude) {
  const uint64_t number = ++lastAsked_;
  entry->group.lend(channel);
  asked_.push_back({number, entry, channel, repeat, std::move(conclude), nullptr});
  asked_.back().question = ask([this, number](const std::optional<crypto::View>& output) { answered(number, output); });
  if (asked_.back().question == nullptr) return endAsking(asked_.size() - 1, std::nullopt);
  entry->lastAnswer = 0;
  entry->working++;
  working_++;
  lastWork_ = readClock();
  asked_.back().isWorking = true;
}

void Transport::answered(uint64_t number, const std::optional<crypto::View>& output) {
  const auto isIt = [number](const Asked& asked) { return asked.number == number; };
  const auto found = std::find_if(asked_.begin(), asked_.end(), isIt);
  if (found != asked_.end()) endAsking(static_cast<size_t>(found - asked_.begin()), output);
}

void Transport::forgetAsked(uint32_t repeat) {
  const auto isIt = [repeat](const Asked& asked) { return asked.repeat == repeat; };
  const auto found = std::find_if(asked_.begin(), asked_.end(), isIt);
  if (found == asked_.end()) return;
  if (found->question != nullptr) *found->question = nullptr;
  endAsking(static_cast<size_t>(found - asked_.begin()), std::nullopt);
}

void Transport::endAsking(size_t index, const std::optional<crypto::View>& output) {
  Asked asked = std::move(asked_[index]);
  asked_.erase(asked_.begin() + static_cast<std::ptrdiff_t>(index));
  Entry& entry = *asked.entry;
  Octets answer;
  const bool isRun = asked.conclude(output, &answer);
  if (isRun) operationsAsked_++;
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

Napi::Value Transport::makeKeys(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), making_.add(info[0].As<Napi::Object>()));
}

Napi::Value Transport::collectKeys(const Napi::CallbackInfo& info) { return making_.collect(info.Env()); }

Napi::Value Transport::endKeys(const Napi::CallbackInfo& info) {
  return making_.end(info.Env(), info[0].As<Napi::Number>().Uint32Value());
}

Napi::Value Transport::operationsAsked(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(operationsAsked_));
}

}  // namespace transport
