// Operations that a program asks for again in the same words. JavaScript has decided one of them, says what the words are,
// and ends the repeat when its decision no longer holds; until then they are answered here. Whatever is not plain success
// is JavaScript's. A repeat is one session's, for one kind of operation:
//
//            the same Init: answered                     the operation: run, answered
//   idle  ------------------------------>   begun   ------------------------------------>   idle
//     |                                       |   a question how long the output is: answered, begun as before
//     | anything else on such operations      | anything else on such operations
//     v                                       v
//   ended                                   ended, and JavaScript begins it as well, before it is given the request
#pragma once

#include <napi.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "../repeatable.h"

namespace transport {

using Octets = std::vector<std::uint8_t>;

struct Terms {
  std::uint32_t owner;  // the application: sessions are its own
  std::uint64_t session;
  // Numbers of the calls on such operations: Init, the one that runs it in one piece, and the others.
  std::vector<std::uint16_t> calls;
  Octets request;  // Init's
  // Where in it the IV is, which may be another one each time; 0 bytes where there is none, or `work` makes it.
  std::size_t ivAt;
  std::size_t ivBytes;
  bool refusesZeroIv;
  Octets answer;  // Init's, which ends with the IV that `work` makes
  std::size_t longestInputBytes;
  std::shared_ptr<Repeatable> work;
  double* uses;  // how many were begun, and run; in an array that `keepsUses` keeps
  Napi::Reference<Napi::Float64Array> keepsUses;
};

// What was begun when a repeat ended.
struct Begun {
  Octets iv;      // the program's, or made for it
  bool hasAsked;  // how long the output will be: then the data comes in one piece
};

class Repeat {
 public:
  explicit Repeat(Terms&& terms) : terms_(std::move(terms)) {}

  bool concerns(std::uint16_t call) const;
  // Answers a request that concerns it; false where JavaScript has to.
  bool answer(std::uint16_t call, const std::uint8_t* request, std::size_t length, Octets* answer);
  std::optional<Begun> begun() const;

 private:
  bool isRepeated(const std::uint8_t* request, std::size_t length) const;
  bool begin(const std::uint8_t* request, std::size_t length, Octets* answer);
  bool run(const std::uint8_t* request, std::size_t length, Octets* answer);

  Terms terms_;
  bool isBegun_ = false;
  bool hasAsked_ = false;
  std::array<std::uint8_t, Repeatable::longestIvBytes> iv_{};
  std::size_t ivBytes_ = 0;
};

struct EndedRepeat {
  std::uint32_t id;
  std::optional<Begun> begun;
};

class Repeats {
 public:
  enum class Taken { No, Answered, Ended };

  bool empty() const { return places_.empty(); }
  std::uint32_t add(Terms&& terms);
  // Nothing where it has ended already.
  std::optional<EndedRepeat> end(std::uint32_t id);
  // Answers a request if it repeats one, into `answer`; or ends the repeat that it is none of.
  Taken take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer,
             EndedRepeat* ended);

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

  std::uint32_t lastId_ = 0;
  std::unordered_map<Place, std::vector<std::pair<std::uint32_t, Repeat>>, HashOfPlace> repeats_;
  std::unordered_map<std::uint32_t, Place> places_;
};

}  // namespace transport
