// Contexts that were initialised once for what a key is to do, each of which one thread uses at a time.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "openssl.h"

namespace crypto {

class PkeyContexts {
 public:
  explicit PkeyContexts(std::function<PkeyContext()> make) : make_(std::move(make)) {}

  // What `use` says of a context; false where the key was destroyed.
  template <typename Use>
  bool with(Use&& use) {
    PkeyContext context;
    if (!take(&context)) return false;
    const bool isDone = use(context.get());
    // One whose use has thrown is not used again.
    const std::lock_guard<std::mutex> lock(mutex_);
    if (make_) free_.push_back(std::move(context));
    return isDone;
  }

  // The key is destroyed: its contexts go now, and those that are in use when they are not.
  void end() {
    const std::lock_guard<std::mutex> lock(mutex_);
    make_ = nullptr;
    free_.clear();
  }

 private:
  bool take(PkeyContext* context) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!make_) return false;
    if (free_.empty()) {
      *context = make_();
    } else {
      *context = std::move(free_.back());
      free_.pop_back();
    }
    return true;
  }

  std::mutex mutex_;
  std::function<PkeyContext()> make_;  // holds the key
  std::vector<PkeyContext> free_;
};

}  // namespace crypto
