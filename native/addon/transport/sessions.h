// Calls on sessions that are answered here, because nothing is left to be decided: JavaScript keeps some of what it knows of a
// session in memory that this sees as well (src/cryptoki/search.ts). Both write there, in one thread. Whatever is not plain
// success is JavaScript's.
#pragma once

#include <napi.h>

#include <cstdint>
#include <unordered_map>

#include "octets.h"
#include "place.h"
#include "reads.h"

namespace transport {

class Sessions {
 public:
  // said: the calls' numbers on the wire, {find, findFinal, read}, and cameAgain: see Reads
  explicit Sessions(const Napi::Object& said);

  void share(std::uint32_t owner, std::uint64_t session, Napi::Float64Array words);
  void unshare(std::uint32_t owner, std::uint64_t session);
  // Answers a request, if it can. Of one that reads attributes `reads` knows then whether it came again.
  bool take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer);
  // The answer to such a request that has just been given by JavaScript, under the lease that the session has.
  void keep(std::uint32_t owner, const std::uint8_t* request, std::size_t length, const Octets& answer);

  Reads reads;

 private:
  struct Session {
    double* words;
    Napi::Reference<Napi::Float64Array> keepsWords;
  };

  // Nothing where the session is not shared.
  double* wordsOf(std::uint32_t owner, const std::uint8_t* request) const;
  static bool find(double* words, const std::uint8_t* request, std::size_t length, Octets* answer);
  static bool findFinal(double* words, std::size_t length, Octets* answer);

  const std::uint16_t find_;
  const std::uint16_t findFinal_;
  const std::uint16_t read_;
  std::unordered_map<Place, Session, HashOfPlace> sessions_;
};

}  // namespace transport
