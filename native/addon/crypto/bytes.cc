#include "bytes.h"

#include <climits>
#include <cstring>
#include <utility>

#include "failure.h"

namespace crypto {

namespace {

const unsigned char noBytes[1] = {0};

struct RawView {
  void* data;
  std::size_t length;
};

RawView rawView(const Napi::Value& value) {
  bool isView = false;
  napi_is_buffer(value.Env(), value, &isView);  // true for every ArrayBufferView
  RawView raw{};
  if (!isView || napi_get_buffer_info(value.Env(), value, &raw.data, &raw.length) != napi_ok) {
    throw Napi::TypeError::New(value.Env(), "expected a Uint8Array");
  }
  return raw;
}

}  // namespace

Bytes::Bytes(std::size_t length) : length_(length), capacity_(length) {
  if (length == 0) return;
  data_ = static_cast<unsigned char*>(OPENSSL_malloc(length));
  if (data_ == nullptr) fail(FailureCode::OperationFailed, "out of memory");
}

Bytes::Bytes(View source) : Bytes(source.length) {
  if (length_ > 0) std::memcpy(data_, source.data, length_);
}

Bytes::Bytes(Bytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      length_(std::exchange(other.length_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

Bytes& Bytes::operator=(Bytes&& other) noexcept {
  Bytes taken(std::move(other));
  std::swap(data_, taken.data_);
  std::swap(length_, taken.length_);
  std::swap(capacity_, taken.capacity_);
  return *this;
}

Bytes::~Bytes() {
  if (data_ != nullptr) OPENSSL_clear_free(data_, capacity_);
}

View Bytes::view() const {
  return {data_ == nullptr ? noBytes : data_, length_};
}

void Bytes::shrink(std::size_t length) {
  if (length >= length_) return;
  OPENSSL_cleanse(data_ + length, length_ - length);
  length_ = length;
}

View viewOf(const Napi::Value& value) {
  const RawView raw = rawView(value);
  if (raw.length > INT_MAX) fail(FailureCode::InputLength, "more than 2^31 - 1 bytes");
  return {raw.length == 0 ? noBytes : static_cast<const unsigned char*>(raw.data), raw.length};
}

unsigned char* outputOf(const Napi::Value& value, std::size_t needed) {
  const RawView raw = rawView(value);
  if (raw.length < needed) fail(FailureCode::InputLength, "the output buffer is too small");
  static unsigned char nowhere[1];
  return raw.data == nullptr ? nowhere : static_cast<unsigned char*>(raw.data);
}

Napi::Value toJs(Napi::Env env, const Bytes& bytes) {
  return Napi::Buffer<unsigned char>::Copy(env, bytes.view().data, bytes.length());
}

}  // namespace crypto
