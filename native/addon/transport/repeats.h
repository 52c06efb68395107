// Operations that a program asks for again in the same words. JavaScript has decided one of them, says what the words are,
// and ends the repeat when its decision no longer holds; until then they are answered here. Whatever is not plain success
// is JavaScript's. A repeat is one session's, for one kind of operation:
//
//            the same Init: answered                     the operation: run, answered
//   idle  ------------------------------>   begun   ------------------------------------>   idle
//     |                                       |   a question how long the output is: answered, begun as before
//     |                                       |   another thread is given the operation, and goes on with what comes on that
//     |                                       |   channel: away, until it gives it back or is asked to; whatever else comes on
//     |                                       |   such operations waits for that
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
#include "ahead.h"
#include "octets.h"
#include "place.h"

namespace transport {

// What does not change of a repeat, so that any thread may read it.
struct Words {
  // Numbers of the calls on such operations: Init, the one that runs it in one piece, and the others.
  std::vector<std::uint16_t> calls;
  Octets request;  // Init's
  // Where in it the IV is, which may be another one each time; 0 bytes where there is none, or `work` makes it.
  std::size_t ivAt;
  std::size_t ivBytes;
  bool refusesZeroIv;
  Octets answer;  // Init's, which ends with the IV that `work` makes
  std::size_t longestInputBytes;  // of what is not begun as it comes
  std::shared_ptr<Repeatable> work;
};

struct Terms {
  std::uint32_t owner;  // the application: sessions are its own
  std::uint64_t session;
  std::shared_ptr<const Words> words;
  double* uses;  // how many were begun, and run; in an array that `keepsUses` keeps
  Napi::Reference<Napi::Float64Array> keepsUses;
};

// What was begun when a repeat ended.
struct Begun {
  Octets iv;  // the program's, or made for it
};

Napi::Value toJs(Napi::Env env, const std::optional<Begun>& begun);

Terms termsOf(const Napi::Object& said);

struct Request {
  std::uint32_t owner;
  const std::uint8_t* bytes;
  std::size_t length;
  Ahead* ahead = nullptr;  // what was done of it as it came
};

// Which operations may go to another thread.
enum class Help { None, WithLong, Any };

// Answers one session's calls for one kind of operation, again and again. It is one thread's at a time.
class Operation {
 public:
  enum class Thread { EventLoop, Other };
  // What a request was: nothing that is answered here; Init; a question how long the output is; the operation itself.
  enum class Did { Nothing, Begin, Tell, Run };

  explicit Operation(std::shared_ptr<const Words> words) : words_(std::move(words)) {}
  // Whether a request is of its session. Others must not be put to it.
  bool concerns(const std::uint8_t* request, std::size_t length) const;
  Did answer(Thread thread, const std::uint8_t* request, std::size_t length, Octets* answer, Ahead* ahead = nullptr);
  // Begins with a request that would run it, of which `wholeBytes` are to come; nothing where that is not possible.
  std::unique_ptr<Ahead> ahead(const std::uint8_t* request, std::size_t length, std::size_t wholeBytes) const;
  // Whether a request runs it, and had better in another thread.
  bool goesElsewhere(Help help, const std::uint8_t* request, std::size_t length) const;
  // Asks for the operation that a request runs; see Repeatable. Then whether what was answered is the output, of which it makes the answer.
  std::shared_ptr<Question> ask(const std::uint8_t* request, std::size_t length, Question question) const;
  bool conclude(const std::optional<crypto::View>& output, Octets* answer);
  // Whether what comes next is likely to.
  bool isBegun() const { return isBegun_; }
  bool expectsLong() const { return isBegun_ && words_->work->place() == Repeatable::Place::Elsewhere; }
  Repeatable::Place place() const { return words_->work->place(); }
  std::optional<Begun> begun() const;

 private:
  // What a request asks that runs it.
  struct Asked {
    crypto::View input;
    crypto::View beside;  // the IV, or the signature
    std::size_t outputBytes;
    bool onlyLength;
  };
  // Nothing where JavaScript has to answer.
  std::optional<Asked> asked(const std::uint8_t* request, std::size_t length) const;
  std::optional<Asked> askedToVerify(crypto::View input, const std::uint8_t* behind, std::size_t length) const;
  bool isRepeated(const std::uint8_t* request, std::size_t length) const;
  Did begin(const std::uint8_t* request, std::size_t length, Octets* answer);
  Did run(Thread thread, const std::uint8_t* request, std::size_t length, Octets* answer, Ahead* ahead);
  bool isTooLong(const Asked& asked) const { return asked.input.length > words_->longestInputBytes; }

  std::shared_ptr<const Words> words_;
  bool isBegun_ = false;
  std::array<std::uint8_t, Repeatable::longestIvBytes> iv_{};
  std::size_t ivBytes_ = 0;
};

// An operation that was begun, for another thread. Its bytes are overwritten when it goes.
struct Job {
  Job(std::uint32_t id, Operation what, const std::uint8_t* asked, std::size_t length)
      : repeat(id), operation(std::move(what)), request(asked, asked + length) {}
  Job(Job&&) = default;
  Job& operator=(Job&&) = default;
  ~Job();

  std::uint32_t repeat;
  Operation operation;
  Octets request;
};

// How often.
struct Uses {
  unsigned begun = 0;
  unsigned run = 0;
};

class Repeat {
 public:
  explicit Repeat(Terms&& terms) : terms_(std::move(terms)), operation_(terms_.words) {}

  bool concerns(std::uint16_t call) const;
  // Answers a request that concerns it; false where JavaScript has to.
  bool answer(const Request& request, Octets* answer);
  std::unique_ptr<Ahead> ahead(const Request& request, std::size_t wholeBytes) const {
    return operation_.ahead(request.bytes, request.length, wholeBytes);
  }
  bool goesElsewhere(Help help, const std::uint8_t* request, std::size_t length) const {
    return operation_.goesElsewhere(help, request, length);
  }
  bool expectsLong() const { return operation_.expectsLong(); }
  bool isAway() const { return isAway_; }
  // Lends its operation, which a copy of stands for here.
  Operation lend();
  void returned(const Operation& operation);
  void count(Uses uses);
  std::optional<Begun> begun() const { return operation_.begun(); }

 private:
  Terms terms_;
  Operation operation_;
  bool isAway_ = false;
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
  Taken take(const Request& request, Octets* answer, EndedRepeat* ended, Help help, std::optional<Job>* job);
  // Begins with a request of which `wholeBytes` are to come, where that can be done. Throws crypto::Failure.
  std::unique_ptr<Ahead> ahead(const Request& request, std::size_t wholeBytes);
  // The operation that such a request would run, for another thread that works on the request as it comes; nothing where one has it already.
  std::optional<Job> lend(const Request& request);
  // Of a job that is over, or will not be run. Before that its repeat must not end.
  void returned(const Job& job);
  // Of a job that another thread has, or had.
  void count(std::uint32_t id, Uses uses);

 private:
  using Numbered = std::pair<std::uint32_t, Repeat>;

  Repeat* find(std::uint32_t id);
  Numbered* concernedBy(const Request& request);

  std::uint32_t lastId_ = 0;
  std::unordered_map<Place, std::vector<Numbered>, HashOfPlace> repeats_;
  std::unordered_map<std::uint32_t, Place> places_;
};

}  // namespace transport
