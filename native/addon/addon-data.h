// What one JavaScript environment (the main thread or a worker) keeps for the addon. Everything shared by all
// environments is immutable and lives in function-local statics instead.
#pragma once

#include <napi.h>

#include <memory>

#include "crypto/openssl.h"
#include "crypto/random-reserve.h"
#include "tls/lookout.h"

namespace disk {
class DirectWrites;
}

struct AddonData {
  Napi::FunctionReference cryptoError;  // the class CryptoError, handed over by src/crypto/native.ts
  crypto::HashContexts digestContexts;  // one idle context per hash, so that a digest allocates nothing
  crypto::CipherContext cipherContext;  // an idle one without a key
  crypto::RandomReserve randomReserve;
  std::unique_ptr<tls::Lookout> lookout;  // made with the first TLS connection
  std::shared_ptr<disk::DirectWrites> directWrites;  // made with the first write
};
