#include "sessions.h"

#include <algorithm>

namespace transport {

namespace {

// The words of a session that src/cryptoki/search.ts shares.
enum Word { State, Found, Given, Finds, Finals, Handles = 6, Words = 16 };
constexpr double shared = 1;  // there is a search, and all that it has found is in the words

std::uint16_t numberOf(const Napi::Object& said, const char* name) {
  return static_cast<std::uint16_t>(said.Get(name).As<Napi::Number>().Uint32Value());
}

}  // namespace

Sessions::Sessions(const Napi::Object& said) : find_(numberOf(said, "find")), findFinal_(numberOf(said, "findFinal")) {}

void Sessions::share(std::uint32_t owner, std::uint64_t session, Napi::Float64Array words) {
  if (words.ElementLength() < Words) throw Napi::RangeError::New(words.Env(), "too few words of a session");
  sessions_.insert_or_assign({owner, session}, Session{words.Data(), Napi::Persistent(words)});
}

void Sessions::unshare(std::uint32_t owner, std::uint64_t session) { sessions_.erase({owner, session}); }

bool Sessions::take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (length < headBytes) return false;
  const auto call = read<std::uint16_t>(request);
  if (call != find_ && call != findFinal_) return false;
  const auto found = sessions_.find({owner, read<std::uint64_t>(request + 2)});
  if (found == sessions_.end()) return false;
  double* words = found->second.words;
  return call == find_ ? find(words, request, length, answer) : findFinal(words, length, answer);
}

// i64 room, which is negative where only a number is asked for, u64 max; answered with u64 n, u32 n, and n handles.
bool Sessions::find(double* words, const std::uint8_t* request, std::size_t length, Octets* answer) {
  if (length != headBytes + 8 + 8 || words[State] != shared) return false;
  if (static_cast<std::int64_t>(read<std::uint64_t>(request + headBytes)) < 0) return false;
  const auto max = read<std::uint64_t>(request + headBytes + 8);
  const auto given = static_cast<std::size_t>(words[Given]);
  const auto end = std::min<std::size_t>(static_cast<std::size_t>(words[Found]), Words - Handles);
  const std::size_t count = given < end ? static_cast<std::size_t>(std::min<std::uint64_t>(max, end - given)) : 0;
  answer->resize(4 + 1 + 8 + 4 + count * 8);
  std::uint8_t* at = write<std::uint32_t>(answer->data(), 0);
  *at++ = 1;
  at = write<std::uint64_t>(at, count);
  at = write<std::uint32_t>(at, static_cast<std::uint32_t>(count));
  for (std::size_t i = 0; i < count; i++)
    at = write<std::uint64_t>(at, static_cast<std::uint64_t>(words[Handles + given + i]));
  words[Given] += static_cast<double>(count);
  words[Finds]++;
  return true;
}

bool Sessions::findFinal(double* words, std::size_t length, Octets* answer) {
  if (length != headBytes || words[State] != shared) return false;
  words[State] = 0;
  words[Finals]++;
  answer->resize(4 + 1);
  *write<std::uint32_t>(answer->data(), 0) = 0;
  return true;
}

}  // namespace transport
