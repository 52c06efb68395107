// Between DER and the components that PKCS#11 attributes hold.
#pragma once

#include <napi.h>

namespace crypto {

void exportKeyMaterial(Napi::Env env, Napi::Object exports);

}  // namespace crypto
