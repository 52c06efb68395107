// Operations that a program asks for again in the same words. JavaScript has decided one of them, says what the words are,
// and ends the repeat when its decision no longer holds; until then they are answered here. Whatever is not plain success
// is JavaScript's. A repeat is one session's, for one kind of operation:
//
//            the same Init: answered                     the operation: run, answered
//   idle  ------------------------------>   begun   ------------------------------------>   idle
//     |                                       |   a question how long the output is: answered, begun as before
//     |                                       |   another thread is given the operation: away, until that is over or it is
//     |                                       |   taken back; whatever else comes on such operations waits for that
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
#include "octets.h"
#include "place.h"

namespace transport {

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

Napi::Value toJs(Napi::Env env, const std::optional<Begun>& begun);

Terms termsOf(const Napi::Object& said);

// Which operations may go to another thread.
enum class Help { None, WithLong, Any };

// An operation that was begun, for another thread. Its bytes are overwritten when it goes.
struct Job {
  Job() = default;
  Job(Job&&) = default;
  Job& operator=(Job&&) = default;
  ~Job();
  // Touches nothing but this and the work. Whether there is an answer is `isAnswered`.
  void run();

  std::uint32_t repeat = 0;
  std::shared_ptr<Repeatable> work;
  Octets iv;
  Octets request;
  std::size_t outputBytes = 0;
  Octets answer;
  bool isAnswered = false;
};

class Repeat {
 public:
  explicit Repeat(Terms&& terms) : terms_(std::move(terms)) {}

  bool concerns(std::uint16_t call) const;
  // Answers a request that concerns it; false where JavaScript has to.
  bool answer(std::uint16_t call, const std::uint8_t* request, std::size_t length, Octets* answer);
  // The operation that a request runs, if it goes to another thread; then this is away until `returned`.
  std::optional<Job> job(Help help, std::uint16_t call, const std::uint8_t* request, std::size_t length);
  // Whether what comes next is likely to go to another thread.
  bool expectsLong() const { return isBegun_ && terms_.work->place() == Repeatable::Place::Elsewhere; }
  bool isAway() const { return isAway_; }
  void returned(const Job& job);
  std::optional<Begun> begun() const;

 private:
  // What a request asks that runs the operation.
  struct Asked {
    crypto::View input;
    std::size_t outputBytes;
    bool onlyLength;
  };
  // Nothing where JavaScript has to answer.
  std::optional<Asked> asked(const std::uint8_t* request, std::size_t length) const;
  bool isRepeated(const std::uint8_t* request, std::size_t length) const;
  bool begin(const std::uint8_t* request, std::size_t length, Octets* answer);
  bool run(const std::uint8_t* request, std::size_t length, Octets* answer);

  Terms terms_;
  bool isBegun_ = false;
  bool hasAsked_ = false;
  bool isAway_ = false;
  std::array<std::uint8_t, Repeatable::longestIvBytes> iv_{};
  std::size_t ivBytes_ = 0;
};

struct EndedRepeat {
  std::uint32_t id;
  std::optional<Begun> begun;
};

class Repeats {
 public:
  // Begun: answered, and a long operation comes next.
  enum class Taken { No, Answered, Begun, Ended, Away, ToBeRun };

  bool empty() const { return places_.empty(); }
  std::uint32_t add(Terms&& terms);
  // Nothing where it has ended already.
  std::optional<EndedRepeat> end(std::uint32_t id);
  // Answers a request if it repeats one, into `answer`; or ends the repeat that it is none of; or does nothing, because
  // that repeat, whose number is in `ended`, is away. What goes to another thread is put into `job` instead of being run.
  Taken take(std::uint32_t owner, const std::uint8_t* request, std::size_t length, Octets* answer,
             EndedRepeat* ended, Help help, std::optional<Job>* job);
  // Of a job that was run, or will not be. Before that its repeat must not end.
  void returned(const Job& job);

 private:
  std::uint32_t lastId_ = 0;
  std::unordered_map<Place, std::vector<std::pair<std::uint32_t, Repeat>>, HashOfPlace> repeats_;
  std::unordered_map<std::uint32_t, Place> places_;
};

}  // namespace transport
