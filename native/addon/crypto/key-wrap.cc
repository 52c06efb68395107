// AES key wrap: KW (RFC 3394) and KWP (RFC 5649), both of SP 800-38F, with their default integrity check values.
#include "keys.h"
#include "work.h"

namespace crypto {

namespace {

constexpr std::size_t semiblockBytes = 8;

// KW has whole semiblocks, two at least; KWP any length but none, and what it wraps one or two semiblocks at least.
void checkLength(bool padded, bool encrypt, std::size_t length) {
  const std::size_t extra = encrypt ? 0 : semiblockBytes;
  const bool whole = length % semiblockBytes == 0;
  const bool fits = padded ? length > extra && (encrypt || whole) : length >= 2 * semiblockBytes + extra && whole;
  if (!fits) fail(FailureCode::InputLength, "a length that the key wrap does not have");
}

// Writes what the wrap or unwrap of the input is, two semiblocks more than the input at most; its length.
std::size_t runWrap(const EVP_CIPHER* algorithm, bool encrypt, View key, View input, unsigned char* output) {
  CipherContext context(EVP_CIPHER_CTX_new());
  EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
  require(EVP_CipherInit_ex2(context.get(), algorithm, key.data, nullptr, encrypt, nullptr), "the key wrap failed");
  int written = 0;
  if (EVP_CipherUpdate(context.get(), output, &written, input.data, input.intLength()) != 1 || written <= 0) {
    OPENSSL_cleanse(output, input.length + 2 * semiblockBytes);
    if (encrypt) fail(FailureCode::OperationFailed, "the key wrap failed");
    fail(FailureCode::AuthenticationFailed, "the integrity check value does not match");
  }
  return static_cast<std::size_t>(written);
}

}  // namespace

// wrap(padded, encrypt, input, output) -> bytes written; output has room for two semiblocks more than the input
Napi::Value SecretKey::wrap(const Napi::CallbackInfo& info) {
  const bool padded = info[0].As<Napi::Boolean>();
  const bool encrypt = info[1].As<Napi::Boolean>();
  const View input = viewOf(info[2]);
  checkLength(padded, encrypt, input.length);
  unsigned char* output = outputOf(info[3], input.length + 2 * semiblockBytes);
  contexts();  // checks that the key is there
  const EVP_CIPHER* algorithm = fetchedCipher(padded ? CipherMode::WrapPad : CipherMode::Wrap, bytes_.length());
  const std::size_t written = runWrap(algorithm, encrypt, bytes_.view(), input, output);
  return Napi::Number::New(info.Env(), static_cast<double>(written));
}

// wrapLater(padded, encrypt, input) -> a promise of the output: a key wrap needs twelve block encryptions per block
Napi::Value SecretKey::wrapLater(const Napi::CallbackInfo& info) {
  const bool padded = info[0].As<Napi::Boolean>();
  const bool encrypt = info[1].As<Napi::Boolean>();
  const View input = viewOf(info[2]);
  checkLength(padded, encrypt, input.length);
  contexts();  // checks that the key is there
  const EVP_CIPHER* algorithm = fetchedCipher(padded ? CipherMode::WrapPad : CipherMode::Wrap, bytes_.length());
  return run(info.Env(), RunOn::WorkerThread,
             [algorithm, encrypt, key = Bytes(bytes_.view()), input = Bytes(input)] {
               Bytes room(input.length() + 2 * semiblockBytes);
               room.shrink(runWrap(algorithm, encrypt, key.view(), input.view(), room.data()));
               return room;
             });
}

}  // namespace crypto
