#include "hashed.h"

#include <cstring>

#include "../repeatable.h"
#include "failure.h"
#include "openssl.h"

namespace crypto {

namespace {

class RepeatableHashed : public Repeatable {
 public:
  RepeatableHashed(std::shared_ptr<Repeatable> work, const EVP_MD* hash, View prefix)
      : work_(std::move(work)),
        hash_(hash),
        prefix_(prefix),
        hashedBytes_(prefix.length + static_cast<std::size_t>(EVP_MD_get_size(hash))) {}

  std::optional<std::size_t> outputBytes(std::size_t) const override { return work_->outputBytes(hashedBytes_); }

  bool run(View iv, View input, std::uint8_t* output) override {
    // What only runs elsewhere has the hash made there as well.
    if (place() == Place::Elsewhere) return false;
    return work_->run(iv, hashed(input).view(), output);
  }

  Place place() const override { return work_->place(); }

  bool runElsewhere(View iv, View input, std::uint8_t* output) override {
    return work_->runElsewhere(iv, hashed(input).view(), output);
  }

 private:
  Bytes hashed(View input) const {
    Bytes bytes(hashedBytes_);
    const std::size_t prefixBytes = prefix_.view().length;
    std::memcpy(bytes.data(), prefix_.view().data, prefixBytes);
    require(EVP_Digest(input.data, input.length, bytes.data() + prefixBytes, nullptr, hash_, nullptr),
            "the hash failed");
    return bytes;
  }

  const std::shared_ptr<Repeatable> work_;
  const EVP_MD* const hash_;
  const Bytes prefix_;
  const std::size_t hashedBytes_;
};

// repeatableHashed(work, hashRow, prefix): `work` on the prefix and the hash behind it
Napi::Value repeatableHashed(const Napi::CallbackInfo& info) {
  const EVP_MD* hash = fetchedHash(info[1].As<Napi::Number>().Uint32Value());
  const auto& work = *info[0].As<RepeatableHandle>().Data();
  return handleOf(info.Env(), std::make_shared<RepeatableHashed>(work, hash, viewOf(info[2])));
}

}  // namespace

void exportHashed(Napi::Env env, Napi::Object& exports) {
  exports.Set("repeatableHashed", Napi::Function::New<guarded<repeatableHashed>>(env));
}

}  // namespace crypto
