// Repeated hashes, and repeated operations on the hash of what they are given.
#pragma once

#include <napi.h>

#include "bytes.h"
#include "openssl.h"

namespace crypto {

// Makes the context where there is none: to be kept, because that takes as long as a short hash.
void hashInto(HashContext& context, const EVP_MD* hash, View data, unsigned char* output);

void exportHashed(Napi::Env env, Napi::Object& exports);

}  // namespace crypto
