#include "rsa-search.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <uv.h>

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "failure.h"

namespace crypto {

namespace {

// The first of two searches takes 0.62 of the time of one, the first of four 0.4; more gain little for what they cost.
constexpr std::size_t mostSearchesPerKey = 4;

// All searches of this process that are under way.
std::atomic<unsigned> searching{0};

class Search {
 public:
  Search(int modulusBits, const Number& exponent) : modulusBits_(modulusBits), exponent_(exponent) {}

  // Looks for a key until it has one, or another thread has. Throws nothing: found() says what came of it.
  void look() {
    PkeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    if (context && EVP_PKEY_keygen_init(context.get()) == 1 &&
        EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), modulusBits_) == 1 &&
        EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), exponent_.get()) == 1) {
      EVP_PKEY_CTX_set_app_data(context.get(), this);
      EVP_PKEY_CTX_set_cb(context.get(), goesOn);
      if (EVP_PKEY_generate(context.get(), &key) != 1) key = nullptr;
    }
    if (key == nullptr) ERR_clear_error();  // giving up leaves errors in this thread's queue as well
    Pkey mine(key);
    if (mine && !isOver_.exchange(true)) key_ = std::move(mine);
  }

  // Once nobody looks any more.
  Pkey found() {
    if (!key_) fail(FailureCode::OperationFailed, "the key generation failed");
    return std::move(key_);
  }

 private:
  // OpenSSL asks this between two candidates for a prime and gives up when it answers 0.
  static int goesOn(EVP_PKEY_CTX* context) {
    return static_cast<Search*>(EVP_PKEY_CTX_get_app_data(context))->isOver_.load(std::memory_order_relaxed) ? 0 : 1;
  }

  const int modulusBits_;
  const Number& exponent_;
  std::atomic<bool> isOver_{false};
  Pkey key_;  // of the thread that has ended the search
};

// Takes its place among the searches of this process, if a processor is left for it.
bool begin(unsigned most) {
  unsigned now = searching.load();
  while (now < most)
    if (searching.compare_exchange_weak(now, now + 1)) return true;
  return false;
}

}  // namespace

Pkey searchRsaKey(int modulusBits, const Number& exponent) {
  Search search(modulusBits, exponent);
  const auto look = [&search] {
    search.look();
    searching--;
  };
  searching++;
  std::vector<std::thread> others;
  others.reserve(mostSearchesPerKey - 1);
  while (others.size() < mostSearchesPerKey - 1 && begin(uv_available_parallelism())) {
    try {
      others.emplace_back(look);
    } catch (const std::system_error&) {  // no more threads: fewer look
      searching--;
      break;
    }
  }
  look();
  for (std::thread& other : others) other.join();
  return search.found();
}

}  // namespace crypto
