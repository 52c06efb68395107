// Repeated operations on the hash of what they are given.
#pragma once

#include <napi.h>

namespace crypto {

void exportHashed(Napi::Env env, Napi::Object& exports);

}  // namespace crypto
