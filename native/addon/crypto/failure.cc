#include "failure.h"

#include <openssl/err.h>

#include "../addon-data.h"

namespace crypto {

namespace {

// In the order of FailureCode; the names are those of CryptoError in src/crypto/errors.ts.
constexpr const char* codeNames[] = {
    "INVALID_KEY",  "INVALID_POINT", "AUTHENTICATION_FAILED", "DECRYPTION_FAILED",
    "INPUT_LENGTH", "UNSUPPORTED",   "OPERATION_FAILED",
};

}  // namespace

void fail(FailureCode code, const char* text) {
  throw Failure{code, text};
}

void require(int opensslResult, const char* text) {
  if (opensslResult != 1) fail(FailureCode::OperationFailed, text);
}

Napi::Error toJsError(Napi::Env env, const Failure& failure) {
  ERR_clear_error();
  auto* data = env.GetInstanceData<AddonData>();
  const Napi::String code = Napi::String::New(env, codeNames[static_cast<int>(failure.code)]);
  const Napi::String text = Napi::String::New(env, failure.text);
  if (data->cryptoError.IsEmpty()) return Napi::Error::New(env, failure.text);
  return Napi::Error(env, data->cryptoError.New({code, text}));
}

}  // namespace crypto
