#include "crypto.h"


#include "../addon-data.h"
#include "bytes.h"
#include "curves.h"
#include "failure.h"
#include "generate.h"
#include "hashed.h"
#include "key-material.h"
#include "keys.h"
#include "message-keys.h"
#include "work.h"

namespace crypto {

namespace {

// setErrorClass(CryptoError): what failures are thrown as from now on.
Napi::Value setErrorClass(const Napi::CallbackInfo& info) {
  info.Env().GetInstanceData<AddonData>()->cryptoError = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

// digest(hashRow, data, output)
Napi::Value digest(const Napi::CallbackInfo& info) {
  const std::size_t row = info[0].As<Napi::Number>().Uint32Value();
  const EVP_MD* hash = fetchedHash(row);
  const View data = viewOf(info[1]);
  unsigned char* output = outputOf(info[2], static_cast<std::size_t>(EVP_MD_get_size(hash)));
  hashInto(info.Env().GetInstanceData<AddonData>()->digestContexts[row], hash, data, output);
  return info.Env().Undefined();
}

// digestElsewhere(hashRow, data) -> a promise of the hash value. The data must stay as it is until then.
Napi::Value digestElsewhere(const Napi::CallbackInfo& info) {
  const EVP_MD* hash = fetchedHash(info[0].As<Napi::Number>().Uint32Value());
  return run(info.Env(), RunOn::WorkerThread,
             [hash, data = viewOf(info[1]), kept = Napi::Persistent(info[1].As<Napi::Object>())] {
               Bytes value(static_cast<std::size_t>(EVP_MD_get_size(hash)));
               require(EVP_Digest(data.data, data.length, value.data(), nullptr, hash, nullptr), "the hash failed");
               return value;
             });
}

// randomFill(output)
Napi::Value randomFill(const Napi::CallbackInfo& info) {
  const View output = viewOf(info[0]);
  unsigned char* bytes = const_cast<unsigned char*>(output.data);
  if (output.length > RandomReserve::longestBytes) {
    randomInto(bytes, static_cast<std::size_t>(output.intLength()));
  } else {
    info.Env().GetInstanceData<AddonData>()->randomReserve.give(bytes, output.length);
  }
  return info.Env().Undefined();
}

// encryptZeros(cipherRow, key, output): zeros as long as the output, without padding or IV.
Napi::Value encryptZeros(const Napi::CallbackInfo& info) {
  static constexpr unsigned char zeros[EVP_MAX_BLOCK_LENGTH] = {};
  const auto mode = static_cast<CipherMode>(info[0].As<Napi::Number>().Uint32Value());
  if (mode != CipherMode::Ecb && mode != CipherMode::Des3Ecb) fail(FailureCode::Unsupported, "unknown mode");
  const View key = viewOf(info[1]);
  const EVP_CIPHER* cipher = fetchedCipher(mode, key.length);
  const int blockBytes = EVP_CIPHER_get_block_size(cipher);
  unsigned char* output = outputOf(info[2], static_cast<std::size_t>(blockBytes));
  CipherContext& context = info.Env().GetInstanceData<AddonData>()->cipherContext;
  if (!context) context.reset(EVP_CIPHER_CTX_new());
  int written = 0;
  const bool done = context && EVP_EncryptInit_ex2(context.get(), cipher, key.data, nullptr, nullptr) == 1 &&
                    EVP_EncryptUpdate(context.get(), output, &written, zeros, blockBytes) == 1;
  if (context) EVP_CIPHER_CTX_reset(context.get());  // cleanses the key's schedule
  require(done, "the cipher failed");
  return info.Env().Undefined();
}

Napi::Array hashNames(Napi::Env env) {
  Napi::Array names = Napi::Array::New(env, hashRows.size());
  for (std::uint32_t row = 0; row < hashRows.size(); row++)
    names.Set(row, Napi::String::New(env, hashRows[row].name));
  return names;
}

Napi::Array curveTable(Napi::Env env) {
  Napi::Array rows = Napi::Array::New(env, curveCount);
  for (std::uint32_t row = 0; row < curveCount; row++) {
    Napi::Object curve = Napi::Object::New(env);
    curve.Set("name", Napi::String::New(env, curves[row].name));
    curve.Set("fieldBits", Napi::Number::New(env, static_cast<double>(curves[row].fieldBits)));
    curve.Set("orderLengthBytes", Napi::Number::New(env, static_cast<double>(curves[row].orderLengthBytes)));
    curve.Set("oid", Napi::Buffer<unsigned char>::Copy(env, curves[row].oid.data, curves[row].oid.length));
    rows.Set(row, curve);
  }
  return rows;
}

}  // namespace

Napi::Object exportCrypto(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("setErrorClass", Napi::Function::New<setErrorClass>(env));
  exports.Set("hashNames", hashNames(env));
  exports.Set("curves", curveTable(env));
  exports.Set("digestElsewhere", Napi::Function::New<guarded<digestElsewhere>>(env));
  exports.Set("digest", Napi::Function::New<guarded<digest>>(env));
  exports.Set("randomFill", Napi::Function::New<guarded<randomFill>>(env));
  exports.Set("encryptZeros", Napi::Function::New<guarded<encryptZeros>>(env));
  exports.Set("AsymmetricKey", AsymmetricKey::define(env));
  exports.Set("SecretKey", SecretKey::define(env));
  exportKeyMaterial(env, exports);
  exportGenerate(env, exports);
  exportHashed(env, exports);
  exportMessageKeys(env, exports);
  return exports;
}

}  // namespace crypto
