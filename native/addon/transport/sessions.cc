#include "sessions.h"

#include <algorithm>

namespace transport {

namespace {

std::uint32_t numberOf(const Napi::Object& said, const char* name) {
  return said.Get(name).As<Napi::Number>().Uint32Value();
}

std::uint16_t callOf(const Napi::Object& said, const char* name) {
  return static_cast<std::uint16_t>(numberOf(said, name));
}

}  // namespace

Sessions::Places::Places(const Napi::Object& said)
    : state(numberOf(said, "state")),
      found(numberOf(said, "found")),
      given(numberOf(said, "given")),
      finds(numberOf(said, "finds")),
      finals(numberOf(said, "finals")),
      readLease(numberOf(said, "readLease")),
      handles(numberOf(said, "handles")),
      count(numberOf(said, "count")),
      shared(numberOf(said, "shared")) {}

Sessions::Sessions(const Napi::Object& said)
    : reads(said.Get("cameAgain").As<Napi::Uint8Array>()),
      find_(callOf(said, "find")),
      findFinal_(callOf(said, "findFinal")),
      read_(callOf(said, "read")),
      places_(said.Get("words").As<Napi::Object>()) {}

std::uint32_t Sessions::leaseIn(const double* words) const {
  return words == nullptr ? 0 : static_cast<std::uint32_t>(words[places_.readLease]);
}

void Sessions::share(std::uint32_t owner, std::uint64_t session, Napi::Float64Array words) {
  if (words.ElementLength() < places_.count) throw Napi::RangeError::New(words.Env(), "too few words of a session");
  sessions_.insert_or_assign({owner, session}, Session{words.Data(), Napi::Persistent(words)});
}

void Sessions::unshare(std::uint32_t owner, std::uint64_t session) { sessions_.erase({owner, session}); }

double* Sessions::wordsOf(std::uint32_t owner, const std::uint8_t* request) const {
  const auto found = sessions_.find({owner, read<std::uint64_t>(request + 2)});
  return found == sessions_.end() ? nullptr : found->second.words;
}

void Sessions::keep(std::uint32_t owner, const std::uint8_t* request, std::size_t length, std::size_t changesAt,
                    const Octets& answer) {
  if (length < headBytes) return;
  const std::uint32_t lease = leaseIn(wordsOf(owner, request));
  reads.keep(owner, lease, changesAt, request + headBytes, length - headBytes, answer);
}

bool Sessions::take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (length < headBytes) return false;
  const auto call = read<std::uint16_t>(request);
  if (call != find_ && call != findFinal_ && call != read_) return false;
  double* words = wordsOf(owner, request);
  if (call == read_) return reads.take(owner, leaseIn(words), request + headBytes, length - headBytes, answer);
  if (words == nullptr) return false;
  return call == find_ ? find(words, request, length, answer) : findFinal(words, length, answer);
}

// i64 room, which is negative where only a number is asked for, u64 max; answered with u64 n, u32 n, and n handles.
bool Sessions::find(double* words, const std::uint8_t* request, std::size_t length, Octets* answer) const {
  if (length != headBytes + 8 + 8 || words[places_.state] != places_.shared) return false;
  if (static_cast<std::int64_t>(read<std::uint64_t>(request + headBytes)) < 0) return false;
  const auto max = read<std::uint64_t>(request + headBytes + 8);
  const auto given = static_cast<std::size_t>(words[places_.given]);
  const auto end = std::min<std::size_t>(static_cast<std::size_t>(words[places_.found]), places_.count - places_.handles);
  const std::size_t count = given < end ? static_cast<std::size_t>(std::min<std::uint64_t>(max, end - given)) : 0;
  answer->resize(4 + 1 + 8 + 4 + count * 8);
  std::uint8_t* at = write<std::uint32_t>(answer->data(), 0);
  *at++ = 1;
  at = write<std::uint64_t>(at, count);
  at = write<std::uint32_t>(at, static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; i++)
    at = write<std::uint64_t>(at, static_cast<std::uint64_t>(words[places_.handles + given + i]));
  words[places_.given] += static_cast<double>(count);
  words[places_.finds]++;
  return true;
}

bool Sessions::findFinal(double* words, std::size_t length, Octets* answer) const {
  if (length != headBytes || words[places_.state] != places_.shared) return false;
  words[places_.state] = 0;
  words[places_.finals]++;
  answer->resize(4 + 1);
  *write<std::uint32_t>(answer->data(), 0) = 0;
  return true;
}

}  // namespace transport
