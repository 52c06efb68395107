#include "repeats.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "../crypto/failure.h"

namespace transport {

namespace {

constexpr std::size_t lengthBytes = 4;              // of the data, which follows
constexpr std::size_t roomBytes = 8;                // for the output
constexpr std::size_t answerHeadBytes = 4 + 1 + 8 + 4;  // CKR_OK, "there is output", its length, how much of it follows

// The answer of a call that succeeded; returns where `followingBytes` of output go.
std::uint8_t* succeed(Octets* answer, std::uint64_t outputBytes, std::size_t followingBytes) {
  answer->resize(answerHeadBytes + followingBytes);
  std::uint8_t* at = write<std::uint32_t>(answer->data(), 0);
  *at++ = 1;
  at = write<std::uint64_t>(at, outputBytes);
  return write<std::uint32_t>(at, static_cast<std::uint32_t>(followingBytes));
}

}  // namespace

bool Repeat::concerns(std::uint16_t call) const {
  return std::find(terms_.calls.begin(), terms_.calls.end(), call) != terms_.calls.end();
}

bool Repeat::answer(std::uint16_t call, const std::uint8_t* request, std::size_t length, Octets* answer) {
  try {
    if (call == terms_.calls[0]) return !isBegun_ && begin(request, length, answer);
    return call == terms_.calls[1] && isBegun_ && run(request, length, answer);
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    return false;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

bool Repeat::isRepeated(const std::uint8_t* request, std::size_t length) const {
  const Octets& expected = terms_.request;
  const std::size_t behindIv = terms_.ivAt + terms_.ivBytes;
  return length == expected.size() && std::memcmp(request, expected.data(), terms_.ivAt) == 0 &&
         std::memcmp(request + behindIv, expected.data() + behindIv, length - behindIv) == 0;
}

bool Repeat::begin(const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (!isRepeated(request, length)) return false;
  const std::uint8_t* iv = request + terms_.ivAt;
  const auto isZero = [](std::uint8_t octet) { return octet == 0; };
  if (terms_.refusesZeroIv && std::all_of(iv, iv + terms_.ivBytes, isZero)) return false;
  *answer = terms_.answer;
  ivBytes_ = terms_.work->makeIv(iv_.data());
  if (ivBytes_ > answer->size()) return false;
  std::memcpy(answer->data() + answer->size() - ivBytes_, iv_.data(), ivBytes_);
  if (terms_.ivBytes > 0) {
    ivBytes_ = terms_.ivBytes;
    std::memcpy(iv_.data(), iv, ivBytes_);
  }
  isBegun_ = true;
  hasAsked_ = false;
  terms_.uses[0]++;
  return true;
}

std::optional<Repeat::Asked> Repeat::asked(const std::uint8_t* request, std::size_t length) const {
  if (length < headBytes + lengthBytes + roomBytes) return std::nullopt;
  const std::size_t inputBytes = read<std::uint32_t>(request + headBytes);
  if (length - (headBytes + lengthBytes + roomBytes) != inputBytes) return std::nullopt;
  const std::uint8_t* input = request + headBytes + lengthBytes;
  const auto room = read<std::uint64_t>(input + inputBytes);
  const std::optional<std::size_t> needed = terms_.work->outputBytes(inputBytes);
  if (!needed || inputBytes > terms_.longestInputBytes) return std::nullopt;
  const bool onlyLength = static_cast<std::int64_t>(room) < 0;  // who passes no buffer asks for it
  if (!onlyLength && room < *needed) return std::nullopt;
  return Asked{{input, inputBytes}, *needed, onlyLength};
}

bool Repeat::run(const std::uint8_t* request, std::size_t length, Octets* answer) {
  const std::optional<Asked> asked = this->asked(request, length);
  if (!asked) return false;
  const std::size_t outputBytes = asked->outputBytes;
  if (asked->onlyLength) {
    succeed(answer, outputBytes, 0);
    hasAsked_ = true;
    return true;
  }
  if (!terms_.work->run({iv_.data(), ivBytes_}, asked->input, succeed(answer, outputBytes, outputBytes))) return false;
  isBegun_ = false;
  terms_.uses[1]++;
  return true;
}

std::optional<Job> Repeat::job(Help help, std::uint16_t call, const std::uint8_t* request, std::size_t length) {
  using Place = Repeatable::Place;
  if (call != terms_.calls[1] || !isBegun_ || help == Help::None) return std::nullopt;
  const Place place = terms_.work->place();
  if (place == Place::Here || (place == Place::Anywhere && help != Help::Any)) return std::nullopt;
  const std::optional<Asked> asked = this->asked(request, length);
  if (!asked || asked->onlyLength) return std::nullopt;
  Job job;
  job.work = terms_.work;
  job.iv.assign(iv_.begin(), iv_.begin() + static_cast<std::ptrdiff_t>(ivBytes_));
  job.request.assign(request, request + length);
  job.outputBytes = asked->outputBytes;
  isAway_ = true;
  return job;
}

void Repeat::returned(const Job& job) {
  isAway_ = false;
  if (!job.isAnswered) return;
  isBegun_ = false;
  terms_.uses[1]++;
}

Job::~Job() {
  OPENSSL_cleanse(request.data(), request.size());
  OPENSSL_cleanse(answer.data(), answer.size());
}

void Job::run() {
  const std::uint8_t* input = request.data() + headBytes + lengthBytes;
  const std::size_t inputBytes = request.size() - (headBytes + lengthBytes + roomBytes);
  try {
    std::uint8_t* output = succeed(&answer, outputBytes, outputBytes);
    isAnswered = work->runElsewhere({iv.data(), iv.size()}, {input, inputBytes}, output);
  } catch (const crypto::Failure&) {
    ERR_clear_error();
  } catch (const std::bad_alloc&) {
  }
}

std::optional<Begun> Repeat::begun() const {
  if (!isBegun_) return std::nullopt;
  return Begun{Octets(iv_.begin(), iv_.begin() + static_cast<std::ptrdiff_t>(ivBytes_)), hasAsked_};
}

std::uint32_t Repeats::add(Terms&& terms) {
  const Place place{terms.owner, terms.session};
  const std::uint32_t id = ++lastId_;
  repeats_[place].emplace_back(id, Repeat(std::move(terms)));
  places_.emplace(id, place);
  return id;
}

void Repeats::returned(const Job& job) {
  const auto place = places_.find(job.repeat);
  if (place == places_.end()) return;
  for (auto& [id, repeat] : repeats_.find(place->second)->second) {
    if (id == job.repeat) repeat.returned(job);
  }
}

std::optional<EndedRepeat> Repeats::end(std::uint32_t id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return std::nullopt;
  const auto there = repeats_.find(place->second);
  auto& all = there->second;
  const auto found = std::find_if(all.begin(), all.end(), [id](const auto& entry) { return entry.first == id; });
  EndedRepeat ended{id, found->second.begun()};
  all.erase(found);
  if (all.empty()) repeats_.erase(there);
  places_.erase(place);
  return ended;
}

Repeats::Taken Repeats::take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer,
                             EndedRepeat* ended, Help help, std::optional<Job>* job) {
  if (length < headBytes) return Taken::No;
  const auto call = read<std::uint16_t>(request);
  const auto found = repeats_.find({owner, read<std::uint64_t>(request + 2)});
  if (found == repeats_.end()) return Taken::No;
  for (auto& [id, repeat] : found->second) {
    if (!repeat.concerns(call)) continue;
    if (repeat.isAway()) {
      ended->id = id;
      return Taken::Away;
    }
    if ((*job = repeat.job(help, call, request, length))) {
      (*job)->repeat = id;
      return Taken::ToBeRun;
    }
    if (repeat.answer(call, request, length, answer)) return repeat.expectsLong() ? Taken::Begun : Taken::Answered;
    *ended = *end(id);
    return Taken::Ended;
  }
  return Taken::No;
}

}  // namespace transport
