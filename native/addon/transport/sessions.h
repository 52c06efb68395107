// Calls on sessions that are answered here, because nothing is left to be decided: JavaScript keeps some of what it knows of a
// session in memory that this sees as well (src/cryptoki/search.ts). Both write there, in one thread. Whatever is not plain
// success is JavaScript's.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "octets.h"
#include "place.h"
#include "reads.h"

namespace transport {

class Sessions {
 public:
  // said: the calls' numbers on the wire, {find, findFinal, read}, cameAgain: see Reads, and words: where in a session's words is what
  explicit Sessions(const Napi::Object& said);

  void share(std::uint32_t owner, std::uint64_t session, Napi::Float64Array words);
  void unshare(std::uint32_t owner, std::uint64_t session);
  // Answers a request, if it can. Of one that reads attributes `reads` knows then whether it came again.
  bool take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer);
  // The answer to such a request that has just been given by JavaScript, under the lease that the session has.
  void keep(std::uint32_t owner, const std::uint8_t* request, std::size_t length, std::size_t changesAt,
            const Octets& answer);

  Reads reads;

 private:
  struct Session {
    double* words;
    Napi::Reference<Napi::Float64Array> keepsWords;
  };

  // Of src/cryptoki/search.ts.
  struct Places {
    explicit Places(const Napi::Object& said);
    std::size_t state, found, given, finds, finals, readLease, handles, count;
    double shared;  // the state in which there is a search, and all that it has found is in the words
  };

  // 0 is none.
  std::uint32_t leaseIn(const double* words) const;
  // Nothing where the session is not shared.
  double* wordsOf(std::uint32_t owner, const std::uint8_t* request) const;
  bool find(double* words, const std::uint8_t* request, std::size_t length, Octets* answer) const;
  bool findFinal(double* words, std::size_t length, Octets* answer) const;

  const std::uint16_t find_;
  const std::uint16_t findFinal_;
  const std::uint16_t read_;
  const Places places_;
  std::unordered_map<Place, Session, HashOfPlace> sessions_;
};

}  // namespace transport
