// Answers that were given before to requests in the same words, for as long as they hold. An HSM counts what happens to its objects
// in memory that this sees (src/hsm/read-lease.ts), so that nobody has to come here to end them.
#pragma once

#include <napi.h>

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include "octets.h"

namespace transport {

class Reads {
 public:
  // The first octet of `cameAgain` says whether the answer to the last request, which was not answered here, is worth keeping: it has
  // come before.
  explicit Reads(Napi::Uint8Array cameAgain) : cameAgain_(cameAgain.Data()), keepsCameAgain_(Napi::Persistent(cameAgain)) {}

  // What a connection to an HSM has read holds while `changes` are what they were; `uses` counts what is answered here.
  std::uint32_t lease(Napi::Float64Array changes, Napi::Float64Array uses);
  void end(std::uint32_t lease) { leases_.erase(lease); }
  // A request of an application is all that follows the session: the object's handle first. Lease 0 is none.
  bool take(std::uint32_t owner, std::uint32_t lease, const std::uint8_t* request, std::size_t length, Octets* answer);
  // What has just been answered to such a request, on an object whose changes are counted there.
  void keep(std::uint32_t owner, std::uint32_t lease, std::size_t changesAt, const std::uint8_t* request,
            std::size_t length, const Octets& answer);

 private:
  struct Lease {
    const double* changes;
    std::size_t places;
    double* uses;
    Napi::Reference<Napi::Float64Array> keepsChanges;
    Napi::Reference<Napi::Float64Array> keepsUses;
    // Those of all objects, and those at one place.
    double changesAt(std::size_t at) const { return changes[0] + changes[at]; }
  };
  struct Kept {
    std::uint32_t lease = 0;
    std::size_t changesAt = 0;
    double changes = 0;
    Octets request;
    Octets answer;
    std::shared_ptr<Lease> holds;
  };
  // Requests that came, by their hash.
  struct Seen {
    std::uint64_t hash = 0;
    unsigned times = 0;
    unsigned wanted = 0;
  };
  static constexpr std::size_t places = 256;

  std::uint32_t lastLease_ = 0;
  std::uint8_t* const cameAgain_;
  const Napi::Reference<Napi::Uint8Array> keepsCameAgain_;
  std::unordered_map<std::uint32_t, std::shared_ptr<Lease>> leases_;
  // By hash: one of two that want the same place gives way.
  std::array<Kept, places> kept_;
  std::array<Seen, places> seen_;
};

}  // namespace transport
