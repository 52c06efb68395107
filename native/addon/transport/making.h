// Session keys that a session makes again in the same words, and destroys. JavaScript has decided one of them, says what the words are, and
// ends this when its decision no longer holds; until then an HSM elsewhere is asked from here. What was made JavaScript collects
// before it looks at the session's keys; what it has collected is its own to destroy.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "../key-maker.h"
#include "octets.h"
#include "place.h"

namespace transport {

// Those of one session.
class MadeKeys {
 public:
  // {request, answer, handleAt, destroyCall, destroyed, mostLeaving, maker}: a frame that makes a key, its answer, which has the handle
  // there; the call that destroys one, its answer, and how many of those an HSM may owe until somebody waits for it.
  MadeKeys(const Napi::Object& said, std::uint32_t id);

  std::uint32_t id() const { return id_; }

  bool isMade(const std::uint8_t* request, std::size_t length) const;
  std::shared_ptr<Question> ask(Question question) const { return maker_->make(std::move(question)); }
  // Whether the answer to what was asked is a key, of which it makes the program's answer.
  bool conclude(const std::optional<crypto::View>& handle, Octets* answer);
  // Answers a request that destroys one of them; false where JavaScript has to.
  bool destroy(const std::uint8_t* request, std::size_t length, Octets* answer);
  // What was done since the last time: {handles, leaving: [id, handle, ...], made, destroyed, isOver}. `isOver`: an answer was not as
  // expected.
  Napi::Object collect(Napi::Env env);
  // Nothing is asked for any more; and what comes all the same is destroyed.
  void end() { isEnded_ = true; }
  bool isEnded() const { return isEnded_; }

 private:
  const std::uint32_t id_;
  Octets request_;
  Octets answer_;
  std::size_t handleAt_;
  std::uint16_t destroyCall_;
  Octets destroyed_;
  std::size_t mostLeaving_;
  std::shared_ptr<KeyMaker> maker_;
  std::unordered_set<std::uint64_t> handles_;
  unsigned made_ = 0;
  unsigned destroyedCount_ = 0;
  bool isOver_ = false;
  bool isEnded_ = false;
};

class Making {
 public:
  // {owner, session} beside what MadeKeys needs -> its number.
  std::uint32_t add(const Napi::Object& said);
  // Of the session that a request is for.
  std::shared_ptr<MadeKeys> find(std::uint32_t owner, const std::uint8_t* request, std::size_t length) const;
  // There is something to collect of them.
  void changed(const std::shared_ptr<MadeKeys>& keys) { changed_.insert(keys); }
  // [number, what was done, ...] of those that have changed; undefined for none.
  Napi::Value collect(Napi::Env env);
  // What was done until now, if anything.
  Napi::Value end(Napi::Env env, std::uint32_t id);

 private:
  std::uint32_t lastId_ = 0;
  std::unordered_map<Place, std::shared_ptr<MadeKeys>, HashOfPlace> made_;
  std::unordered_map<std::uint32_t, Place> places_;
  std::unordered_set<std::shared_ptr<MadeKeys>> changed_;
};

}  // namespace transport
