#include "hashed.h"

#include <cstring>

#include "../repeatable.h"
#include "failure.h"

namespace crypto {

void hashInto(HashContext& context, const EVP_MD* hash, View data, unsigned char* output) {
  if (!context) context.reset(EVP_MD_CTX_new());
  require(context && EVP_DigestInit_ex2(context.get(), hash, nullptr) &&
              EVP_DigestUpdate(context.get(), data.data, data.length) &&
              EVP_DigestFinal_ex(context.get(), output, nullptr),
          "the hash failed");
}

namespace {

class DigestOfPieces : public PieceByPiece {
 public:
  explicit DigestOfPieces(const EVP_MD* hash) : context_(EVP_MD_CTX_new()) {
    require(context_ && EVP_DigestInit_ex2(context_.get(), hash, nullptr), "the hash failed");
  }

  void update(View part) override {
    require(EVP_DigestUpdate(context_.get(), part.data, part.length), "the hash failed");
  }

  void finish(std::uint8_t* output) override {
    require(EVP_DigestFinal_ex(context_.get(), output, nullptr), "the hash failed");
  }

 private:
  const HashContext context_;
};

class RepeatableDigest : public Repeatable {
 public:
  explicit RepeatableDigest(const EVP_MD* hash) : hash_(hash) {}

  std::optional<std::size_t> outputBytes(std::size_t) const override {
    return static_cast<std::size_t>(EVP_MD_get_size(hash_));
  }

  bool run(View, View input, std::uint8_t* output) override {
    hashInto(context_, hash_, input, output);
    return true;
  }

  // Several threads do, each in a context of its own.
  bool runElsewhere(View, View input, std::uint8_t* output) override {
    HashContext context;
    hashInto(context, hash_, input, output);
    return true;
  }

  std::unique_ptr<PieceByPiece> start() const override { return std::make_unique<DigestOfPieces>(hash_); }

 private:
  const EVP_MD* const hash_;
  HashContext context_;
};

// repeatableDigest(hashRow)
Napi::Value repeatableDigest(const Napi::CallbackInfo& info) {
  const EVP_MD* hash = fetchedHash(info[0].As<Napi::Number>().Uint32Value());
  return handleOf(info.Env(), std::make_shared<RepeatableDigest>(hash));
}

class RepeatableHashed : public Repeatable {
 public:
  RepeatableHashed(std::shared_ptr<Repeatable> work, const EVP_MD* hash, View prefix)
      : work_(std::move(work)),
        hash_(hash),
        prefix_(prefix),
        hashedBytes_(prefix.length + static_cast<std::size_t>(EVP_MD_get_size(hash))) {}

  std::optional<std::size_t> outputBytes(std::size_t) const override { return work_->outputBytes(hashedBytes_); }

  bool verifies() const override { return work_->verifies(); }

  bool run(View beside, View input, std::uint8_t* output) override {
    // What only runs elsewhere has the hash made there as well.
    if (place() == Place::Elsewhere) return false;
    return work_->run(beside, hashed(input).view(), output);
  }

  Place place() const override { return work_->place(); }

  bool runElsewhere(View beside, View input, std::uint8_t* output) override {
    return work_->runElsewhere(beside, hashed(input).view(), output);
  }

  std::shared_ptr<Question> ask(View beside, View input, Question question) override {
    return work_->ask(beside, hashed(input).view(), std::move(question));
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
  exports.Set("repeatableDigest", Napi::Function::New<guarded<repeatableDigest>>(env));
  exports.Set("repeatableHashed", Napi::Function::New<guarded<repeatableHashed>>(env));
}

}  // namespace crypto
