// Key pair generation (FIPS 186-4 appendix B), into DER.
#pragma once

#include <napi.h>

namespace crypto {

void exportGenerate(Napi::Env env, Napi::Object exports);

}  // namespace crypto
