// Session keys that an HSM elsewhere makes, and destroys, without JavaScript: tls asks for them, transport has programs wait for them.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "crypto/bytes.h"
#include "repeatable.h"

class KeyMaker {
 public:
  // A request to destroy a key.
  struct Leaving {
    std::uint32_t id;
    std::uint64_t handle;
  };
  static constexpr std::size_t handleBytes = 8;

  virtual ~KeyMaker() = default;
  // Asks for another one: the question is told of its handle. Nothing where it was not asked.
  virtual std::shared_ptr<Question> make(Question question) = 0;
  // Has one destroyed, which nobody waits for. False where it was not asked for.
  virtual bool destroy(crypto::View handle) = 0;
  // How many were asked for, and not answered.
  virtual std::size_t leaving() const = 0;
  // Their answers are JavaScript's from now on.
  virtual std::vector<Leaving> takeOver() = 0;
};

using KeyMakerHandle = HandleOf<KeyMaker>;

inline Napi::Value handleOf(Napi::Env env, std::shared_ptr<KeyMaker> maker) { return carried(env, std::move(maker)); }
