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
constexpr std::size_t inputAt = headBytes + lengthBytes;
constexpr std::size_t roomBytes = 8;                // for the output
constexpr std::size_t bareAnswerBytes = 4 + 1;  // CKR_OK, "there is no output"
constexpr std::size_t answerHeadBytes = bareAnswerBytes + 8 + 4;  // CKR_OK, "there is output", its length, how much of it follows

// The answer of a call that succeeded; returns where `followingBytes` of output go.
std::uint8_t* succeed(Octets* answer, std::uint64_t outputBytes, std::size_t followingBytes) {
  answer->resize(answerHeadBytes + followingBytes);
  std::uint8_t* at = write<std::uint32_t>(answer->data(), 0);
  *at++ = 1;
  at = write<std::uint64_t>(at, outputBytes);
  return write<std::uint32_t>(at, static_cast<std::uint32_t>(followingBytes));
}

}  // namespace

bool Operation::concerns(const std::uint8_t* request, std::size_t length) const {
  return length >= headBytes && read<std::uint64_t>(request + 2) == read<std::uint64_t>(words_->request.data() + 2);
}

Operation::Did Operation::answer(Thread thread, const std::uint8_t* request, std::size_t length, Octets* answer,
                                 Ahead* ahead) {
  const auto call = read<std::uint16_t>(request);
  try {
    if (call == words_->calls[0]) return isBegun_ ? Did::Nothing : begin(request, length, answer);
    return call == words_->calls[1] && isBegun_ ? run(thread, request, length, answer, ahead) : Did::Nothing;
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    return Did::Nothing;
  } catch (const std::bad_alloc&) {
    return Did::Nothing;
  }
}

bool Operation::isRepeated(const std::uint8_t* request, std::size_t length) const {
  const Octets& expected = words_->request;
  const std::size_t behindIv = words_->ivAt + words_->ivBytes;
  return length == expected.size() && std::memcmp(request, expected.data(), words_->ivAt) == 0 &&
         std::memcmp(request + behindIv, expected.data() + behindIv, length - behindIv) == 0;
}

Operation::Did Operation::begin(const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (!isRepeated(request, length)) return Did::Nothing;
  const std::uint8_t* iv = request + words_->ivAt;
  const auto isZero = [](std::uint8_t octet) { return octet == 0; };
  if (words_->refusesZeroIv && std::all_of(iv, iv + words_->ivBytes, isZero)) return Did::Nothing;
  *answer = words_->answer;
  ivBytes_ = words_->work->makeIv(iv_.data());
  if (ivBytes_ > answer->size()) return Did::Nothing;
  std::memcpy(answer->data() + answer->size() - ivBytes_, iv_.data(), ivBytes_);
  if (words_->ivBytes > 0) {
    ivBytes_ = words_->ivBytes;
    std::memcpy(iv_.data(), iv, ivBytes_);
  }
  isBegun_ = true;
  return Did::Begin;
}

std::optional<Operation::Asked> Operation::asked(const std::uint8_t* request, std::size_t length) const {
  if (length < inputAt) return std::nullopt;
  const crypto::View input{request + inputAt, read<std::uint32_t>(request + headBytes)};
  if (input.length > length - inputAt) return std::nullopt;
  const std::uint8_t* behind = input.data + input.length;
  const std::size_t left = length - inputAt - input.length;
  if (words_->work->verifies()) return askedToVerify(input, behind, left);
  const std::optional<std::size_t> needed = words_->work->outputBytes(input.length);
  if (!needed || left != roomBytes) return std::nullopt;
  const auto room = read<std::uint64_t>(behind);
  const bool onlyLength = static_cast<std::int64_t>(room) < 0;  // who passes no buffer asks for it
  if (!onlyLength && room < *needed) return std::nullopt;
  return Asked{input, {iv_.data(), ivBytes_}, *needed, onlyLength};
}

std::optional<Operation::Asked> Operation::askedToVerify(crypto::View input, const std::uint8_t* behind,
                                                         std::size_t length) const {
  if (!words_->work->outputBytes(input.length)) return std::nullopt;
  if (length < lengthBytes || read<std::uint32_t>(behind) != length - lengthBytes) return std::nullopt;
  return Asked{input, {behind + lengthBytes, length - lengthBytes}, 0, false};
}

Operation::Did Operation::run(Thread thread, const std::uint8_t* request, std::size_t length, Octets* answer,
                              Ahead* ahead) {
  const std::optional<Asked> asked = this->asked(request, length);
  const bool isAhead = ahead != nullptr && ahead->isOf(*words_->work);
  if (!asked || (!isAhead && isTooLong(*asked))) return Did::Nothing;
  const std::size_t outputBytes = asked->outputBytes;
  if (asked->onlyLength) {
    succeed(answer, outputBytes, 0);
    return Did::Tell;
  }
  Repeatable& work = *words_->work;
  std::uint8_t* output = nullptr;
  if (work.verifies()) {
    answer->assign(bareAnswerBytes, 0);
  } else {
    output = succeed(answer, outputBytes, outputBytes);
  }
  if (isAhead) {
    ahead->finish(request, length, output);
    isBegun_ = false;
    return Did::Run;
  }
  const bool isRun = thread == Thread::EventLoop ? work.run(asked->beside, asked->input, output)
                                                 : work.runElsewhere(asked->beside, asked->input, output);
  if (!isRun) return Did::Nothing;
  isBegun_ = false;
  return Did::Run;
}

std::shared_ptr<Question> Operation::ask(const std::uint8_t* request, std::size_t length, Question question) const {
  const std::optional<Asked> asked = this->asked(request, length);
  if (!asked || isTooLong(*asked)) return nullptr;
  try {
    return words_->work->ask(asked->beside, asked->input, std::move(question));
  } catch (const crypto::Failure&) {
    ERR_clear_error();
    return nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

bool Operation::conclude(const std::optional<crypto::View>& output, Octets* answer) {
  if (!output) return false;
  if (words_->work->verifies()) {
    answer->assign(bareAnswerBytes, 0);
  } else {
    std::memcpy(succeed(answer, output->length, output->length), output->data, output->length);
  }
  isBegun_ = false;
  return true;
}

bool Operation::goesElsewhere(Help help, const std::uint8_t* request, std::size_t length) const {
  using Place = Repeatable::Place;
  if (read<std::uint16_t>(request) != words_->calls[1] || !isBegun_ || help == Help::None) return false;
  const Place place = words_->work->place();
  if (place == Place::Here || (place == Place::Anywhere && help != Help::Any)) return false;
  const std::optional<Asked> asked = this->asked(request, length);
  return asked && !asked->onlyLength && !isTooLong(*asked);
}

std::unique_ptr<Ahead> Operation::ahead(const std::uint8_t* request, std::size_t length, std::size_t wholeBytes) const {
  if (length < inputAt || read<std::uint16_t>(request) != words_->calls[1] || !isBegun_) return nullptr;
  const std::size_t inputBytes = read<std::uint32_t>(request + headBytes);
  if (wholeBytes != inputAt + inputBytes + roomBytes) return nullptr;
  std::unique_ptr<PieceByPiece> pieces = words_->work->start();
  if (!pieces) return nullptr;
  return std::make_unique<Ahead>(words_->work, std::move(pieces), inputAt, inputBytes);
}

std::optional<Begun> Operation::begun() const {
  if (!isBegun_) return std::nullopt;
  return Begun{Octets(iv_.begin(), iv_.begin() + static_cast<std::ptrdiff_t>(ivBytes_))};
}

Job::~Job() { OPENSSL_cleanse(request.data(), request.size()); }

bool Repeat::concerns(std::uint16_t call) const {
  const auto& calls = terms_.words->calls;
  return std::find(calls.begin(), calls.end(), call) != calls.end();
}

bool Repeat::answer(const Request& request, Octets* answer) {
  const Operation::Did did =
      operation_.answer(Operation::Thread::EventLoop, request.bytes, request.length, answer, request.ahead);
  if (did == Operation::Did::Begin) terms_.uses[0]++;
  if (did == Operation::Did::Run) terms_.uses[1]++;
  return did != Operation::Did::Nothing;
}

Operation Repeat::lend() {
  isAway_ = true;
  return operation_;
}

void Repeat::returned(const Operation& operation) {
  isAway_ = false;
  operation_ = operation;
}

void Repeat::count(Uses uses) {
  terms_.uses[0] += uses.begun;
  terms_.uses[1] += uses.run;
}

std::uint32_t Repeats::add(Terms&& terms) {
  const Place place{terms.owner, terms.session};
  const std::uint32_t id = ++lastId_;
  repeats_[place].emplace_back(id, Repeat(std::move(terms)));
  places_.emplace(id, place);
  return id;
}

Repeat* Repeats::find(std::uint32_t id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return nullptr;
  for (auto& [number, repeat] : repeats_.find(place->second)->second) {
    if (number == id) return &repeat;
  }
  return nullptr;
}

void Repeats::returned(const Job& job) {
  if (Repeat* repeat = find(job.repeat)) repeat->returned(job.operation);
}

void Repeats::count(std::uint32_t id, Uses uses) {
  if (Repeat* repeat = find(id)) repeat->count(uses);
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

Repeats::Taken Repeats::take(const Request& request, Octets* answer, EndedRepeat* ended, Help help,
                             std::optional<Job>* job) {
  Numbered* concerned = concernedBy(request);
  if (concerned == nullptr) return Taken::No;
  auto& [id, repeat] = *concerned;
  if (repeat.isAway()) {
    ended->id = id;
    return Taken::Away;
  }
  if (repeat.goesElsewhere(help, request.bytes, request.length)) {
    job->emplace(id, repeat.lend(), request.bytes, request.length);
    return Taken::ToBeRun;
  }
  if (repeat.answer(request, answer)) return repeat.expectsLong() ? Taken::Begun : Taken::Answered;
  *ended = *end(id);
  return Taken::Ended;
}

Repeats::Numbered* Repeats::concernedBy(const Request& request) {
  if (request.length < headBytes) return nullptr;
  const auto found = repeats_.find({request.owner, read<std::uint64_t>(request.bytes + 2)});
  if (found == repeats_.end()) return nullptr;
  const auto call = read<std::uint16_t>(request.bytes);
  auto& all = found->second;
  const auto one = std::find_if(all.begin(), all.end(), [call](const Numbered& each) { return each.second.concerns(call); });
  return one == all.end() ? nullptr : &*one;
}

std::unique_ptr<Ahead> Repeats::ahead(const Request& request, std::size_t wholeBytes) {
  const Numbered* concerned = concernedBy(request);
  return concerned == nullptr ? nullptr : concerned->second.ahead(request, wholeBytes);
}

std::optional<Job> Repeats::lend(const Request& request) {
  Numbered* concerned = concernedBy(request);
  if (concerned == nullptr || concerned->second.isAway()) return std::nullopt;
  return std::make_optional<Job>(concerned->first, concerned->second.lend(), request.bytes, 0);
}

}  // namespace transport
