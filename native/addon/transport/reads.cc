#include "reads.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace transport {

namespace {

// More is asked for, and answered, too seldom.
constexpr std::size_t longestRequestBytes = 512;
constexpr std::size_t longestAnswerBytes = 2048;
// A request must have come so often before its answer is kept; and twice as often after each time.
constexpr unsigned firstWanted = 2;
constexpr unsigned mostWanted = 64;

std::uint64_t hashOf(std::uint32_t owner, const std::uint8_t* request, std::size_t length) {
  constexpr std::uint64_t factor = 0x9e3779b97f4a7c15;
  std::uint64_t hash = owner + length;
  for (; length > 0; length -= std::min<std::size_t>(length, 8)) {
    std::uint64_t part = 0;
    std::memcpy(&part, request, std::min<std::size_t>(length, 8));
    request += 8;
    hash = (hash ^ part) * factor;
    hash ^= hash >> 29;
  }
  return hash * factor;
}

std::size_t placeOf(std::uint64_t hash) { return static_cast<std::size_t>(hash >> 56); }

}  // namespace

std::uint32_t Reads::lease(Napi::Float64Array changes, Napi::Float64Array uses) {
  if (changes.ElementLength() < 1 || uses.ElementLength() < 1)
    throw Napi::RangeError::New(changes.Env(), "no lease on what was read");
  Lease lease{changes.Data(), changes.ElementLength(), uses.Data(), Napi::Persistent(changes), Napi::Persistent(uses)};
  leases_.emplace(++lastLease_, std::make_shared<Lease>(std::move(lease)));
  return lastLease_;
}

bool Reads::take(std::uint32_t owner, std::uint32_t lease, const std::uint8_t* request, std::size_t length,
                 Octets* answer) {
  *cameAgain_ = 0;
  if (length < 8 || length > longestRequestBytes) return false;
  const std::uint64_t hash = hashOf(owner, request, length);
  const Kept& kept = kept_[placeOf(hash)];
  const bool isKept = lease != 0 && kept.lease == lease && kept.request.size() == length &&
                      std::memcmp(kept.request.data(), request, length) == 0;
  if (isKept && kept.changes == kept.holds->changesAt(kept.changesAt)) {
    *answer = kept.answer;
    kept.holds->uses[0]++;
    return true;
  }
  Seen& seen = seen_[placeOf(hash)];
  if (seen.hash != hash) seen = {hash, 0, firstWanted};
  if (++seen.times < seen.wanted) return false;
  seen = {hash, 0, std::min(2 * seen.wanted, mostWanted)};
  *cameAgain_ = 1;
  return false;
}

void Reads::keep(std::uint32_t owner, std::uint32_t lease, std::size_t changesAt, const std::uint8_t* request,
                 std::size_t length, const Octets& answer) {
  const auto found = leases_.find(lease);
  if (found == leases_.end() || changesAt >= found->second->places) return;
  if (length < 8 || length > longestRequestBytes || answer.size() > longestAnswerBytes) return;
  Kept& kept = kept_[placeOf(hashOf(owner, request, length))];
  kept = Kept{lease, changesAt, found->second->changesAt(changesAt), Octets(request, request + length), answer,
              found->second};
}

}  // namespace transport
