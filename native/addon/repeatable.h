// An operation, mostly on a kept key, that runs again and again without JavaScript: crypto makes it, transport runs it.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "crypto/bytes.h"

// One whose input comes piece by piece. Both throw crypto::Failure.
class PieceByPiece {
 public:
  virtual ~PieceByPiece() = default;
  virtual void update(crypto::View part) = 0;
  // As many bytes as `outputBytes` said.
  virtual void finish(std::uint8_t* output) = 0;
};

// What somebody elsewhere was asked: told of the output, once and in the event loop, or of nothing where JavaScript has to see to it. Who
// wants the answer no longer empties it.
using Question = std::function<void(const std::optional<crypto::View>& output)>;

class Repeatable {
 public:
  static constexpr std::size_t longestIvBytes = 16;

  virtual ~Repeatable() = default;
  // Makes the IV of the next operation, where it makes its own; returns its length.
  virtual std::size_t makeIv(std::uint8_t*) { return 0; }
  // How long the output is for an input of this length; nothing where such an input is refused.
  virtual std::optional<std::size_t> outputBytes(std::size_t inputBytes) const = 0;
  // Whether a signature comes with the input. Then there is no output, and it has run where the signature is the input's.
  virtual bool verifies() const { return false; }
  // Writes the output, as many bytes as `outputBytes` said; `beside` the input are the IV, or the signature. False: JavaScript
  // has to see to it.
  virtual bool run(crypto::View beside, crypto::View input, std::uint8_t* output) = 0;
  // Begins with an input that has still to come, in this thread; nothing where all of it has to be there.
  virtual std::unique_ptr<PieceByPiece> start() const { return nullptr; }
  // Which threads run it: the event loop's; others as well, because it takes so long that they are of help where several
  // programs call; or only others. Or none of them: another process is asked for it.
  enum class Place { Here, Anywhere, Elsewhere, Asked };
  virtual Place place() const { return Place::Here; }
  // As `run`, in another thread, or several at once.
  virtual bool runElsewhere(crypto::View, crypto::View, std::uint8_t*) { return false; }
  // As `run`, by asking: the question, which is told of the answer later. Nothing where it was not asked.
  virtual std::shared_ptr<Question> ask(crypto::View, crypto::View, Question) { return nullptr; }
};

// How JavaScript carries what one room of the addon has made to another one.
template <typename Shared>
using HandleOf = Napi::External<std::shared_ptr<Shared>>;

template <typename Shared>
Napi::Value carried(Napi::Env env, std::shared_ptr<Shared> shared) {
  return HandleOf<Shared>::New(env, new std::shared_ptr<Shared>(std::move(shared)),
                               [](Napi::Env, std::shared_ptr<Shared>* held) { delete held; });
}

using RepeatableHandle = HandleOf<Repeatable>;

inline Napi::Value handleOf(Napi::Env env, std::shared_ptr<Repeatable> repeatable) {
  return carried(env, std::move(repeatable));
}
