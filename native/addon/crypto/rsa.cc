// RSA signatures and encryption (RFC 8017). Public-key operations run on this thread, private-key operations
// on a worker thread: even 2048 bits take several hundred µs.
#include <openssl/err.h>
#include <openssl/rsa.h>

#include "../repeatable.h"
#include "keys.h"
#include "pkey.h"

namespace crypto {

namespace {

// As numbered by src/crypto/rsa.ts.
enum class Scheme { Pkcs1, None, Pss, Oaep };

struct SchemeRow {
  int padding;
  std::size_t overheadBytes;  // the least that PKCS#1 v1.5 adds; the hash-based schemes compute theirs
};
constexpr SchemeRow schemeRows[] = {
    {RSA_PKCS1_PADDING, 11},
    {RSA_NO_PADDING, 0},
    {RSA_PKCS1_PSS_PADDING, 0},
    {RSA_PKCS1_OAEP_PADDING, 0},
};

// Everything JavaScript says about the padding: arguments 0 to 3 of every RSA method.
struct Padding {
  Scheme scheme;
  std::size_t hash, mgfHash;  // rows of hashRows
  View label;                 // OAEP
  std::uint32_t saltLength;   // PSS

  Params params() const;
};

Params Padding::params() const {
  Params params;
  params.integer(OSSL_PKEY_PARAM_PAD_MODE, schemeRows[static_cast<std::size_t>(scheme)].padding);
  if (scheme == Scheme::Pkcs1 || scheme == Scheme::None) return params;
  params.text(OSSL_PKEY_PARAM_DIGEST, hashRows[hash].opensslName);
  params.text(OSSL_PKEY_PARAM_MGF1_DIGEST, hashRows[mgfHash].opensslName);
  if (scheme == Scheme::Pss) params.integer(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, static_cast<int>(saltLength));
  if (scheme == Scheme::Oaep && label.length > 0) params.octets(OSSL_ASYM_CIPHER_PARAM_OAEP_LABEL, label);
  return params;
}

// Argument 3 is the salt length for PSS and the label for OAEP.
Padding paddingFrom(const Napi::CallbackInfo& info, Scheme hashScheme) {
  const auto row = info[0].As<Napi::Number>().Uint32Value();
  Padding padding{static_cast<Scheme>(row), 0, 0, Bytes().view(), 0};
  if (padding.scheme == Scheme::Pkcs1 || padding.scheme == Scheme::None) return padding;
  if (padding.scheme != hashScheme) fail(FailureCode::Unsupported, "the padding does not fit the operation");
  padding.hash = info[1].As<Napi::Number>().Uint32Value();
  padding.mgfHash = info[2].As<Napi::Number>().Uint32Value();
  fetchedHash(padding.hash);  // check the row numbers
  fetchedHash(padding.mgfHash);
  if (hashScheme == Scheme::Pss) {
    padding.saltLength = info[3].As<Napi::Number>().Uint32Value();
  } else {
    padding.label = viewOf(info[3]);
  }
  return padding;
}

std::size_t hashLength(std::size_t row) {
  return static_cast<std::size_t>(EVP_MD_get_size(fetchedHash(row)));
}

// The input of a signature: its length, and for PSS whether the key has room (RFC 8017 section 9.1.1 step 3).
void checkSignInput(const Padding& padding, std::size_t modulusBits, std::size_t inputLength) {
  const std::size_t k = (modulusBits + 7) / 8;
  if (padding.scheme == Scheme::Pss) {
    const std::size_t hash = hashLength(padding.hash);
    if (inputLength != hash) fail(FailureCode::InputLength, "the input is not as long as the hash");
    if (hash + padding.saltLength + 2 > (modulusBits + 6) / 8) {
      fail(FailureCode::Unsupported, "the key is too short for this hash and salt");
    }
  } else if (padding.scheme == Scheme::None ? inputLength != k
                                            : inputLength + schemeRows[0].overheadBytes > k) {
    fail(FailureCode::InputLength, "the input does not fit the key");
  }
}

// RFC 8017 section 5: a raw input is a number below the modulus.
void checkBelowModulus(const Pkey& key, View input, FailureCode code) {
  const Number modulus = numberFrom(numberOf(key, OSSL_PKEY_PARAM_RSA_N, input.length).view());
  if (BN_cmp(numberFrom(input).get(), modulus.get()) >= 0) fail(code, "the input is not below the modulus");
}

using Init = int (*)(EVP_PKEY_CTX*, const OSSL_PARAM*);

PkeyContext contextFor(const Pkey& key, Init init, const Padding& padding) {
  PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  Params params = padding.params();
  require(context ? init(context.get(), params.list()) : 0, "the RSA operation was refused");
  return context;
}

// What the signature says it signed, for the paddings without a hash.
bool recoversTo(EVP_PKEY_CTX* context, View signature, View input) {
  Bytes recovered(signature.length);
  std::size_t length = recovered.length();
  return EVP_PKEY_verify_recover(context, recovered.data(), &length, signature.data, signature.length) == 1 &&
         length == input.length && CRYPTO_memcmp(recovered.data(), input.data, length) == 0;
}

PkeyContext verifyContextFor(const Pkey& key, const Padding& padding) {
  return contextFor(key, padding.scheme == Scheme::Pss ? EVP_PKEY_verify_init_ex : EVP_PKEY_verify_recover_init_ex,
                    padding);
}

// With a context of `verifyContextFor`. The signature is as long as the modulus.
bool verify(EVP_PKEY_CTX* context, Scheme scheme, View input, View signature) {
  const bool valid =
      scheme == Scheme::Pss
          ? EVP_PKEY_verify(context, signature.data, signature.length, input.data, input.length) == 1
          : recoversTo(context, signature, input);
  if (!valid) ERR_clear_error();
  return valid;
}

void signInto(EVP_PKEY_CTX* context, View input, unsigned char* signature, std::size_t size) {
  std::size_t length = size;
  require(EVP_PKEY_sign(context, signature, &length, input.data, input.length), "the RSA signature failed");
}

class RepeatableRsa : public Repeatable {
 public:
  RepeatableRsa(std::shared_ptr<PkeyContexts> contexts, const Padding& padding, std::size_t modulusBits, bool verifies)
      : contexts_(std::move(contexts)), padding_(padding), modulusBits_(modulusBits), verifies_(verifies) {}

  std::optional<std::size_t> outputBytes(std::size_t inputBytes) const override {
    try {
      checkSignInput(padding_, modulusBits_, inputBytes);
    } catch (const Failure&) {
      return std::nullopt;
    }
    return verifies_ ? 0 : modulusBytes();
  }

  bool verifies() const override { return verifies_; }

  bool run(View beside, View input, std::uint8_t* output) override {
    return verifies_ && runElsewhere(beside, input, output);
  }

  Place place() const override { return verifies_ ? Place::Here : Place::Elsewhere; }

  bool runElsewhere(View beside, View input, std::uint8_t* output) override {
    return contexts_->with([&](EVP_PKEY_CTX* context) {
      if (verifies_) return beside.length == modulusBytes() && verify(context, padding_.scheme, input, beside);
      signInto(context, input, output, modulusBytes());
      return true;
    });
  }

 private:
  std::size_t modulusBytes() const { return (modulusBits_ + 7) / 8; }

  const std::shared_ptr<PkeyContexts> contexts_;
  const Padding padding_;
  const std::size_t modulusBits_;
  const bool verifies_;
};

}  // namespace

// rsaSign(scheme, hash, mgfHash, saltLength, input) -> promise of the signature
Napi::Value AsymmetricKey::rsaSign(const Napi::CallbackInfo& info) {
  const Pkey& key = rsa(true);
  const Padding padding = paddingFrom(info, Scheme::Pss);
  const View input = viewOf(info[4]);
  checkSignInput(padding, bits_, input.length);
  if (padding.scheme == Scheme::None) checkBelowModulus(key, input, FailureCode::InputLength);
  return run(info.Env(), RunOn::WorkerThread,
             [key = shareKey(key), padding, input = Bytes(input), size = modulusLengthBytes()] {
               const PkeyContext context = contextFor(key, EVP_PKEY_sign_init_ex, padding);
               Bytes signature(size);
               signInto(context.get(), input.view(), signature.data(), size);
               return signature;
             });
}

// repeatableRsa(scheme, hash, mgfHash, saltLength, verifies)
Napi::Value AsymmetricKey::repeatableRsa(const Napi::CallbackInfo& info) {
  const Padding padding = paddingFrom(info, Scheme::Pss);
  const bool verifies = info[4].As<Napi::Boolean>();
  const auto key = std::make_shared<Pkey>(shareKey(rsa(!verifies)));
  auto contexts = contextsFor([key, padding, verifies] {
    return verifies ? verifyContextFor(*key, padding) : contextFor(*key, EVP_PKEY_sign_init_ex, padding);
  });
  return handleOf(info.Env(), std::make_shared<RepeatableRsa>(std::move(contexts), padding, bits_, verifies));
}

// rsaVerify(scheme, hash, mgfHash, saltLength, input, signature) -> boolean
Napi::Value AsymmetricKey::rsaVerify(const Napi::CallbackInfo& info) {
  const Pkey& key = rsa(false);
  const Padding padding = paddingFrom(info, Scheme::Pss);
  const View input = viewOf(info[4]);
  const View signature = viewOf(info[5]);
  checkSignInput(padding, bits_, input.length);
  const bool valid = signature.length == modulusLengthBytes() &&
                     verify(verifyContextFor(key, padding).get(), padding.scheme, input, signature);
  return Napi::Boolean::New(info.Env(), valid);
}

// rsaEncrypt(scheme, hash, mgfHash, label, plaintext) -> Buffer
Napi::Value AsymmetricKey::rsaEncrypt(const Napi::CallbackInfo& info) {
  const Pkey& key = rsa(false);
  const Padding padding = paddingFrom(info, Scheme::Oaep);
  const View input = viewOf(info[4]);
  const std::size_t k = modulusLengthBytes();
  std::size_t overhead = schemeRows[static_cast<std::size_t>(padding.scheme)].overheadBytes;
  if (padding.scheme == Scheme::Oaep) overhead = 2 * hashLength(padding.hash) + 2;  // RFC 8017 section 7.1.1
  if (padding.scheme == Scheme::None ? input.length != k : input.length + overhead > k) {
    fail(FailureCode::InputLength, "the input does not fit the key");
  }
  if (padding.scheme == Scheme::None) checkBelowModulus(key, input, FailureCode::InputLength);
  const PkeyContext context = contextFor(key, EVP_PKEY_encrypt_init_ex, padding);
  Bytes output(k);
  std::size_t length = k;
  require(EVP_PKEY_encrypt(context.get(), output.data(), &length, input.data, input.length),
          "the RSA encryption failed");
  return toJs(info.Env(), output);
}

// rsaDecrypt(scheme, hash, mgfHash, label, ciphertext) -> promise of the plaintext
Napi::Value AsymmetricKey::rsaDecrypt(const Napi::CallbackInfo& info) {
  const Pkey& key = rsa(true);
  Padding padding = paddingFrom(info, Scheme::Oaep);
  const View input = viewOf(info[4]);
  if (input.length != modulusLengthBytes())
    fail(FailureCode::InputLength, "the input is not as long as the modulus");
  return run(info.Env(), RunOn::WorkerThread,
             [key = shareKey(key), padding, label = Bytes(padding.label), input = Bytes(input)]() mutable {
               padding.label = label.view();  // the caller's bytes may be gone by now
               const PkeyContext context = contextFor(key, EVP_PKEY_decrypt_init_ex, padding);
               Bytes output(input.length());
               std::size_t length = output.length();
               const View in = input.view();
               if (EVP_PKEY_decrypt(context.get(), output.data(), &length, in.data, in.length) != 1) {
                 fail(FailureCode::DecryptionFailed, "the ciphertext cannot be decrypted");
               }
               output.shrink(length);
               return output;
             });
}

}  // namespace crypto
