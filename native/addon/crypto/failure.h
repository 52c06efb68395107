// The one error type of the native crypto code. It carries a code and a constant text and never a Napi
// object, so that it can be thrown on a libuv worker thread and turned into a CryptoError on the JavaScript
// thread.
#pragma once

#include <napi.h>

#include <new>

namespace crypto {

enum class FailureCode {
  InvalidKey,
  InvalidPoint,
  AuthenticationFailed,
  DecryptionFailed,
  InputLength,
  Unsupported,
  OperationFailed,
};

struct Failure {
  FailureCode code;
  const char* text;  // a string literal: never data, so no secret can leak through a message
};

[[noreturn]] void fail(FailureCode code, const char* text);

// Throws OperationFailed unless an OpenSSL call returned 1.
void require(int opensslResult, const char* text);

// The CryptoError for a failure. Also empties the OpenSSL error queue of this thread.
Napi::Error toJsError(Napi::Env env, const Failure& failure);

// Runs `body` and turns a Failure into a JavaScript exception.
template <typename Body>
auto withJsErrors(Napi::Env env, Body&& body) {
  try {
    return body();
  } catch (const Failure& failure) {
    throw toJsError(env, failure);
  } catch (const std::bad_alloc&) {
    throw toJsError(env, {FailureCode::OperationFailed, "out of memory"});
  }
}

// Wraps an exported function: guarded<&digest> is what JavaScript gets.
template <Napi::Value (*Function)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  return withJsErrors(info.Env(), [&] { return Function(info); });
}

}  // namespace crypto
