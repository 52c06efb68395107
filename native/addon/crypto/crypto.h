// Registers everything the crypto part exports.
#pragma once

#include <napi.h>

namespace crypto {

Napi::Object exportCrypto(Napi::Env env);

}  // namespace crypto
