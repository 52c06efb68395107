// Calls on sessions that are answered here, because nothing is left to be decided: JavaScript keeps some of what it knows of a
// session in memory that this sees as well (src/cryptoki/search.ts). Both write there, in one thread. Whatever is not plain
// success is JavaScript's.
#pragma once

#include <napi.h>

#include <cstdint>
#include <unordered_map>

#include "octets.h"

namespace transport {

class Sessions {
 public:
  // said: the calls' numbers on the wire, {find, findFinal}
  explicit Sessions(const Napi::Object& said);

  bool empty() const { return sessions_.empty(); }
  void share(std::uint32_t owner, std::uint64_t session, Napi::Float64Array words);
  void unshare(std::uint32_t owner, std::uint64_t session);
  // Answers a request, if it can.
  bool take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer);

 private:
  struct Place {
    std::uint32_t owner;
    std::uint64_t session;
    bool operator==(const Place& other) const { return owner == other.owner && session == other.session; }
  };
  struct HashOfPlace {
    std::size_t operator()(const Place& place) const {
      return static_cast<std::size_t>(place.session * 31 + place.owner);
    }
  };
  struct Session {
    double* words;
    Napi::Reference<Napi::Float64Array> keepsWords;
  };

  static bool find(double* words, const std::uint8_t* request, std::size_t length, Octets* answer);
  static bool findFinal(double* words, std::size_t length, Octets* answer);

  const std::uint16_t find_;
  const std::uint16_t findFinal_;
  std::unordered_map<Place, Session, HashOfPlace> sessions_;
};

}  // namespace transport
