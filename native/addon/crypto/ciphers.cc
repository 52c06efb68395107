// AES and Triple DES in ECB, CBC, CTR (SP 800-38A) and GCM (SP 800-38D), with contexts that stay keyed between
// calls.

#include <algorithm>

#include "../addon-data.h"
#include "../repeatable.h"
#include "gcm-iv.h"
#include "keys.h"
#include "random-reserve.h"

namespace crypto {

namespace {

constexpr std::size_t aesBlockBytes = 16;
constexpr std::size_t maximumTagBytes = 16;
constexpr std::size_t ownIvBytes = 12;
// OpenSSL's GCM_IV_MAX_SIZE; longer ones are folded first.
constexpr std::size_t maximumOpensslIvBytes = 128;

std::size_t blockBytesOf(CipherMode mode) {
  return mode == CipherMode::Des3Ecb || mode == CipherMode::Des3Cbc ? 8 : aesBlockBytes;
}

bool takesIv(CipherMode mode) {
  return mode != CipherMode::Ecb && mode != CipherMode::Des3Ecb;
}

// Feeds the input and finishes; returns what was written, or -1 when OpenSSL refused to finish.
int updateAndFinish(EVP_CIPHER_CTX* context, View input, unsigned char* output) {
  int written = 0;
  int last = 0;
  if (input.length > 0) {
    require(EVP_CipherUpdate(context, output, &written, input.data, input.intLength()), "the cipher failed");
  }
  return EVP_CipherFinal_ex(context, output + written, &last) == 1 ? written + last : -1;
}

void checkLengths(CipherMode mode, bool encrypt, bool padding, std::size_t inputLength,
                  const Napi::Value& iv) {
  const std::size_t blockBytes = blockBytesOf(mode);
  if (!takesIv(mode)) {
    if (!iv.IsUndefined()) fail(FailureCode::InputLength, "ECB takes no IV");
  } else if (iv.IsUndefined() || viewOf(iv).length != blockBytes) {
    fail(FailureCode::InputLength, "the IV must have the length of a block");
  }
  if (mode == CipherMode::Ctr) return;
  const bool wholeBlocks = inputLength % blockBytes == 0;
  if (encrypt ? !padding && !wholeBlocks : !wholeBlocks || (padding && inputLength == 0)) {
    fail(FailureCode::InputLength, "the input is not a whole number of blocks");
  }
}

}  // namespace

KeyedContexts::Cipher& SecretKey::keyedCipher(CipherMode mode, bool encrypt) {
  KeyedContexts::Cipher& cipher = contexts().ciphers[2 * static_cast<std::size_t>(mode) + (encrypt ? 0 : 1)];
  if (!cipher.context) {
    const EVP_CIPHER* algorithm = fetchedCipher(mode, bytes_.length());
    CipherContext context(EVP_CIPHER_CTX_new());
    require(EVP_CipherInit_ex2(context.get(), algorithm, bytes_.data(), nullptr, encrypt, nullptr),
            "the cipher failed");
    cipher.context = std::move(context);
    cipher.ivLengthBytes = static_cast<std::size_t>(EVP_CIPHER_CTX_get_iv_length(cipher.context.get()));
  }
  return cipher;
}

// cipher(mode, encrypt, iv | undefined, input, padding, output) -> bytes written
Napi::Value SecretKey::cipher(const Napi::CallbackInfo& info) {
  const auto row = info[0].As<Napi::Number>().Uint32Value();
  const auto mode = static_cast<CipherMode>(row);
  if (row >= cipherModeCount || mode == CipherMode::Gcm) fail(FailureCode::Unsupported, "unknown mode");
  const bool encrypt = info[1].As<Napi::Boolean>();
  const View input = viewOf(info[3]);
  const bool padding = mode != CipherMode::Ctr && info[4].As<Napi::Boolean>();
  checkLengths(mode, encrypt, padding, input.length, info[2]);
  const std::size_t blockBytes = blockBytesOf(mode);
  const std::size_t needed = encrypt && padding ? (input.length / blockBytes + 1) * blockBytes : input.length;
  unsigned char* output = outputOf(info[5], needed);
  const unsigned char* iv = takesIv(mode) ? viewOf(info[2]).data : nullptr;

  // CTR is its own inverse.
  EVP_CIPHER_CTX* context = keyedCipher(mode, encrypt || mode == CipherMode::Ctr).context.get();
  require(EVP_CipherInit_ex2(context, nullptr, nullptr, iv, -1, nullptr), "the cipher failed");
  EVP_CIPHER_CTX_set_padding(context, padding);
  const int written = updateAndFinish(context, input, output);
  if (written < 0) {
    OPENSSL_cleanse(output, needed);
    fail(FailureCode::DecryptionFailed, "the padding is not valid");
  }
  return Napi::Number::New(info.Env(), written);
}

namespace {

void setGcmIv(KeyedContexts::Cipher& cipher, View iv) {
  EVP_CIPHER_CTX* context = cipher.context.get();
  if (iv.length != cipher.ivLengthBytes) {
    require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, iv.intLength(), nullptr), "AES-GCM failed");
    cipher.ivLengthBytes = iv.length;
  }
  require(EVP_CipherInit_ex2(context, nullptr, nullptr, iv.data, -1, nullptr), "AES-GCM failed");
}

}  // namespace

EVP_CIPHER_CTX* SecretKey::gcmContext(bool encrypt, View iv) {
  if (iv.length == 0) fail(FailureCode::InputLength, "the IV must have at least one byte");
  KeyedContexts::Cipher& cipher = keyedCipher(CipherMode::Gcm, encrypt);
  unsigned char folded[aesBlockBytes];
  if (iv.length > maximumOpensslIvBytes) {
    foldLongGcmIv(fetchedCipher(CipherMode::Ecb, bytes_.length()), bytes_.view(), iv, folded);
    iv = {folded, sizeof folded};
  }
  setGcmIv(cipher, iv);
  OPENSSL_cleanse(folded, sizeof folded);
  return cipher.context.get();
}

namespace {

std::size_t tagLengthOf(const Napi::Value& value) {
  const std::size_t length = value.As<Napi::Number>().Uint32Value();
  if (length < 1 || length > maximumTagBytes) fail(FailureCode::Unsupported, "a GCM tag has 1 to 16 bytes");
  return length;
}

void authenticate(EVP_CIPHER_CTX* context, View aad) {
  int ignored = 0;
  if (aad.length == 0) return;
  require(EVP_CipherUpdate(context, nullptr, &ignored, aad.data, aad.intLength()), "AES-GCM failed");
}

// Writes ciphertext || tag, under the IV that the context has.
void seal(EVP_CIPHER_CTX* context, View aad, std::size_t tagLength, View plaintext, unsigned char* output) {
  authenticate(context, aad);
  const int written = updateAndFinish(context, plaintext, output);
  if (written < 0) fail(FailureCode::OperationFailed, "AES-GCM failed");
  require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(tagLength), output + written),
          "AES-GCM failed");
}

// Checks the tag behind the ciphertext, under the IV that the context has; false leaves nothing in `output`.
bool open(EVP_CIPHER_CTX* context, View aad, std::size_t tagLength, View sealed, unsigned char* output) {
  const View ciphertext{sealed.data, sealed.length - tagLength};
  authenticate(context, aad);
  unsigned char tag[maximumTagBytes];  // the parameter is not const
  std::copy_n(sealed.data + ciphertext.length, tagLength, tag);
  require(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(tagLength), tag),
          "AES-GCM failed");
  if (updateAndFinish(context, ciphertext, output) >= 0) return true;
  OPENSSL_cleanse(output, ciphertext.length);
  return false;
}

class RepeatableGcm : public Repeatable {
 public:
  RepeatableGcm(const std::shared_ptr<KeyedContexts>& contexts, KeyedContexts::Cipher& cipher, bool encrypts,
                View aad, std::size_t tagLength, bool makesIv)
      : contexts_(contexts),
        cipher_(cipher),
        encrypts_(encrypts),
        aad_(aad),
        tagLength_(tagLength),
        makesIv_(makesIv) {}

  // Random ones (SP 800-38D section 8.2.2).
  std::size_t makeIv(std::uint8_t* iv) override {
    if (!makesIv_) return 0;
    random_.give(iv, ownIvBytes);
    return ownIvBytes;
  }

  std::optional<std::size_t> outputBytes(std::size_t inputBytes) const override {
    if (encrypts_) return inputBytes + tagLength_;
    if (inputBytes < tagLength_) return std::nullopt;
    return inputBytes - tagLength_;
  }

  bool run(View iv, View input, std::uint8_t* output) override {
    const auto contexts = contexts_.lock();
    if (!contexts) return false;
    setGcmIv(cipher_, iv);
    EVP_CIPHER_CTX* context = cipher_.context.get();
    if (!encrypts_) return open(context, aad_.view(), tagLength_, input, output);
    seal(context, aad_.view(), tagLength_, input, output);
    return true;
  }

 private:
  const std::weak_ptr<KeyedContexts> contexts_;  // gone with the key
  KeyedContexts::Cipher& cipher_;                // one of them
  const bool encrypts_;
  const Bytes aad_;
  const std::size_t tagLength_;
  const bool makesIv_;
  RandomReserve random_;
};

// ECB and CBC, of which only encryption may pad: how long the output is must be known before.
class RepeatableBlocks : public Repeatable {
 public:
  RepeatableBlocks(const std::shared_ptr<KeyedContexts>& contexts, KeyedContexts::Cipher& cipher,
                   std::size_t blockBytes, bool pads)
      : contexts_(contexts), cipher_(cipher), blockBytes_(blockBytes), pads_(pads) {}

  std::optional<std::size_t> outputBytes(std::size_t inputBytes) const override {
    const std::size_t tooMany = inputBytes % blockBytes_;
    if (pads_) return inputBytes - tooMany + blockBytes_;
    return tooMany == 0 ? std::optional(inputBytes) : std::nullopt;
  }

  bool run(View iv, View input, std::uint8_t* output) override {
    const auto contexts = contexts_.lock();
    if (!contexts) return false;
    EVP_CIPHER_CTX* context = cipher_.context.get();
    require(EVP_CipherInit_ex2(context, nullptr, nullptr, iv.length > 0 ? iv.data : nullptr, -1, nullptr),
            "the cipher failed");
    EVP_CIPHER_CTX_set_padding(context, pads_);
    return updateAndFinish(context, input, output) >= 0;
  }

 private:
  const std::weak_ptr<KeyedContexts> contexts_;  // gone with the key
  KeyedContexts::Cipher& cipher_;                // one of them
  const std::size_t blockBytes_;
  const bool pads_;
};

}  // namespace

// gcmEncrypt(iv, aad, tagLength, plaintext, output): output gets ciphertext || tag
Napi::Value SecretKey::gcmEncrypt(const Napi::CallbackInfo& info) {
  const View iv = viewOf(info[0]);
  const View aad = viewOf(info[1]);
  const std::size_t tagLength = tagLengthOf(info[2]);
  const View plaintext = viewOf(info[3]);
  unsigned char* output = outputOf(info[4], plaintext.length + tagLength);
  seal(gcmContext(true, iv), aad, tagLength, plaintext, output);
  return info.Env().Undefined();
}

// gcmSeal(aad, plaintext, output): output gets a random IV || ciphertext || tag
Napi::Value SecretKey::gcmSeal(const Napi::CallbackInfo& info) {
  const View aad = viewOf(info[0]);
  const View plaintext = viewOf(info[1]);
  unsigned char* output = outputOf(info[2], ownIvBytes + plaintext.length + maximumTagBytes);
  info.Env().GetInstanceData<AddonData>()->randomReserve.give(output, ownIvBytes);
  seal(gcmContext(true, {output, ownIvBytes}), aad, maximumTagBytes, plaintext, output + ownIvBytes);
  return info.Env().Undefined();
}

// repeatableGcm(encrypt, aad, tagLength, makesIv)
Napi::Value SecretKey::repeatableGcm(const Napi::CallbackInfo& info) {
  const bool encrypt = info[0].As<Napi::Boolean>();
  const View aad = viewOf(info[1]);
  const std::size_t tagLength = tagLengthOf(info[2]);
  const bool makesIv = info[3].As<Napi::Boolean>();
  KeyedContexts::Cipher& cipher = keyedCipher(CipherMode::Gcm, encrypt);
  return handleOf(info.Env(), std::make_shared<RepeatableGcm>(contexts_, cipher, encrypt, aad, tagLength, makesIv));
}

// repeatableCipher(mode, encrypt, padding), of a mode that works on whole blocks
Napi::Value SecretKey::repeatableCipher(const Napi::CallbackInfo& info) {
  const auto mode = static_cast<CipherMode>(info[0].As<Napi::Number>().Uint32Value());
  const bool encrypt = info[1].As<Napi::Boolean>();
  const bool padding = info[2].As<Napi::Boolean>();
  const bool isWhole = mode == CipherMode::Ecb || mode == CipherMode::Cbc || mode == CipherMode::Des3Ecb ||
                       mode == CipherMode::Des3Cbc;
  if (!isWhole || (padding && !encrypt)) fail(FailureCode::Unsupported, "it cannot be repeated");
  KeyedContexts::Cipher& cipher = keyedCipher(mode, encrypt);
  return handleOf(info.Env(), std::make_shared<RepeatableBlocks>(contexts_, cipher, blockBytesOf(mode), padding));
}

// gcmDecrypt(iv, aad, tagLength, ciphertext || tag, output): output gets the plaintext
Napi::Value SecretKey::gcmDecrypt(const Napi::CallbackInfo& info) {
  const View iv = viewOf(info[0]);
  const View aad = viewOf(info[1]);
  const std::size_t tagLength = tagLengthOf(info[2]);
  const View sealed = viewOf(info[3]);
  if (sealed.length < tagLength) fail(FailureCode::InputLength, "the input is shorter than the tag");
  unsigned char* output = outputOf(info[4], sealed.length - tagLength);
  if (!open(gcmContext(false, iv), aad, tagLength, sealed, output))
    fail(FailureCode::AuthenticationFailed, "the tag does not match");
  return info.Env().Undefined();
}

}  // namespace crypto
