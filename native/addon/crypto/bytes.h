// Byte strings: a view of somebody else's bytes, and owned bytes that are cleansed when they go.
#pragma once

#include <napi.h>
#include <openssl/crypto.h>

#include <array>
#include <cstddef>

namespace crypto {

// `data` is never null, also for an empty view: several OpenSSL functions read a null pointer as "not given".
struct View {
  const unsigned char* data;
  std::size_t length;

  int intLength() const { return static_cast<int>(length); }  // safe: viewOf refuses more than INT_MAX
};

class Bytes {
 public:
  Bytes() = default;
  explicit Bytes(std::size_t length);
  explicit Bytes(View source);
  Bytes(Bytes&& other) noexcept;
  Bytes& operator=(Bytes&& other) noexcept;  // what was here before is cleansed at once
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  ~Bytes();

  unsigned char* data() { return data_; }
  std::size_t length() const { return length_; }
  View view() const;
  void shrink(std::size_t length);  // keeps the first `length` bytes, cleanses the rest

 private:
  unsigned char* data_ = nullptr;
  std::size_t length_ = 0;
  std::size_t capacity_ = 0;
};

// The bytes of a Uint8Array (or any other ArrayBuffer view), not copied: valid until JavaScript runs again.
// Throws TypeError for anything else, InputLength above INT_MAX, which is what most of EVP can count.
View viewOf(const Napi::Value& value);

// The writable bytes of an output buffer; throws InputLength when there is room for less than `needed`.
unsigned char* outputOf(const Napi::Value& value, std::size_t needed);

Napi::Value toJs(Napi::Env env, const Bytes& bytes);

// An array of Buffers.
template <std::size_t N>
Napi::Value arrayOf(Napi::Env env, const std::array<View, N>& views) {
  Napi::Array array = Napi::Array::New(env, N);
  for (std::size_t i = 0; i < N; i++) {
    array.Set(static_cast<std::uint32_t>(i),
              Napi::Buffer<unsigned char>::Copy(env, views[i].data, views[i].length));
  }
  return array;
}

inline Napi::Value toJs(Napi::Env env, bool value) {
  return Napi::Boolean::New(env, value);
}

}  // namespace crypto
