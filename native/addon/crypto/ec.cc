// ECDSA (FIPS 186-4 chapter 6) and ECDH (SP 800-56A section 5.7.1.2). Where each curve runs is in curves.cc.
#include <openssl/err.h>

#include "../repeatable.h"
#include "keys.h"
#include "pkey.h"

namespace crypto {

namespace {

using Init = int (*)(EVP_PKEY_CTX*);

PkeyContext contextFor(const Pkey& key, Init init) {
  PkeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
  require(context ? init(context.get()) : 0, "the EC operation was refused");
  return context;
}

// DER of two 66-byte numbers: 2 * (2 + 67) and a header of 3.
constexpr std::size_t maximumDerSignatureBytes = 144;

// Writes r || s.
void signInto(EVP_PKEY_CTX* context, View digest, std::size_t orderLength, unsigned char* raw) {
  unsigned char der[maximumDerSignatureBytes];
  std::size_t derLength = sizeof der;
  require(EVP_PKEY_sign(context, der, &derLength, digest.data, digest.length), "the ECDSA signature failed");
  const unsigned char* from = der;
  const EcdsaSignature parsed(d2i_ECDSA_SIG(nullptr, &from, static_cast<long>(derLength)));
  if (!parsed) fail(FailureCode::OperationFailed, "the ECDSA signature failed");
  const int length = static_cast<int>(orderLength);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), raw, length) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), raw + length, length) < 0) {
    fail(FailureCode::OperationFailed, "the ECDSA signature failed");
  }
}

bool verify(EVP_PKEY_CTX* context, View digest, View raw) {
  const int length = raw.intLength() / 2;
  EcdsaSignature signature(ECDSA_SIG_new());
  Number r(BN_bin2bn(raw.data, length, nullptr));
  Number s(BN_bin2bn(raw.data + length, length, nullptr));
  if (!signature || !r || !s) fail(FailureCode::OperationFailed, "out of memory");
  ECDSA_SIG_set0(signature.get(), r.release(), s.release());
  unsigned char der[maximumDerSignatureBytes];
  unsigned char* to = der;
  const int derLength = i2d_ECDSA_SIG(signature.get(), &to);
  const bool valid = derLength > 0 && EVP_PKEY_verify(context, der, static_cast<std::size_t>(derLength),
                                                      digest.data, digest.length) == 1;
  if (!valid) ERR_clear_error();
  return valid;
}

class RepeatableEcdsa : public Repeatable {
 public:
  RepeatableEcdsa(std::shared_ptr<PkeyContexts> contexts, const Curve& curve, std::size_t longestInputBytes,
                  bool verifies)
      : contexts_(std::move(contexts)),
        place_((verifies ? curve.verify : curve.sign) == RunOn::ThisThread ? Place::Anywhere : Place::Elsewhere),
        orderLength_(curve.orderLengthBytes),
        longestInputBytes_(longestInputBytes),
        verifies_(verifies) {}

  std::optional<std::size_t> outputBytes(std::size_t inputBytes) const override {
    if (inputBytes == 0 || inputBytes > longestInputBytes_) return std::nullopt;
    return verifies_ ? 0 : 2 * orderLength_;
  }

  bool verifies() const override { return verifies_; }

  bool run(View beside, View input, std::uint8_t* output) override {
    return place_ != Place::Elsewhere && runElsewhere(beside, input, output);
  }

  Place place() const override { return place_; }

  bool runElsewhere(View beside, View input, std::uint8_t* output) override {
    return contexts_->with([&](EVP_PKEY_CTX* context) {
      if (verifies_) return beside.length == 2 * orderLength_ && verify(context, input, beside);
      signInto(context, input, orderLength_, output);
      return true;
    });
  }

 private:
  const std::shared_ptr<PkeyContexts> contexts_;
  const Place place_;
  const std::size_t orderLength_;
  const std::size_t longestInputBytes_;
  const bool verifies_;
};

}  // namespace

const std::shared_ptr<PkeyContexts>& AsymmetricKey::ecdsaContexts(bool verifies) {
  std::shared_ptr<PkeyContexts>& contexts = verifies ? verifyContexts_ : signContexts_;
  if (!contexts) {
    const auto key = std::make_shared<Pkey>(shareKey(ec(!verifies)));
    const Init init = verifies ? EVP_PKEY_verify_init : EVP_PKEY_sign_init;
    contexts = contextsFor([key, init] { return contextFor(*key, init); });
  }
  return contexts;
}

// ecdsaSign(digest) -> r || s, or a promise of it
Napi::Value AsymmetricKey::ecdsaSign(const Napi::CallbackInfo& info) {
  const Pkey& key = ec(true);
  const View digest = viewOf(info[0]);
  const std::size_t orderLength = curve_->orderLengthBytes;
  if (curve_->sign == RunOn::ThisThread) {
    Bytes raw(2 * orderLength);
    ecdsaContexts(false)->with([&](EVP_PKEY_CTX* context) {
      signInto(context, digest, orderLength, raw.data());
      return true;
    });
    return toJs(info.Env(), raw);
  }
  return run(info.Env(), curve_->sign, [key = shareKey(key), digest = Bytes(digest), orderLength] {
    const PkeyContext context = contextFor(key, EVP_PKEY_sign_init);
    Bytes raw(2 * orderLength);
    signInto(context.get(), digest.view(), orderLength, raw.data());
    return raw;
  });
}

// ecdsaVerify(digest, r || s) -> boolean, or a promise of it
Napi::Value AsymmetricKey::ecdsaVerify(const Napi::CallbackInfo& info) {
  const Pkey& key = ec(false);
  const View digest = viewOf(info[0]);
  const View signature = viewOf(info[1]);
  if (signature.length != 2 * curve_->orderLengthBytes) return Napi::Boolean::New(info.Env(), false);
  if (curve_->verify == RunOn::ThisThread) {
    const auto isValid = [&](EVP_PKEY_CTX* context) { return verify(context, digest, signature); };
    return toJs(info.Env(), ecdsaContexts(true)->with(isValid));
  }
  return run(info.Env(), curve_->verify,
             [key = shareKey(key), digest = Bytes(digest), signature = Bytes(signature)] {
               const PkeyContext context = contextFor(key, EVP_PKEY_verify_init);
               return verify(context.get(), digest.view(), signature.view());
             });
}

// ecdhDerive(peerPoint) -> the x coordinate of the shared point, or a promise of it
Napi::Value AsymmetricKey::ecdhDerive(const Napi::CallbackInfo& info) {
  const Pkey& key = ec(true);
  const Curve& curve = *curve_;
  Bytes peerPoint = uncompressedPoint(curve, viewOf(info[0]));
  return run(info.Env(), curve.derive, [key = shareKey(key), peerPoint = std::move(peerPoint), &curve] {
    const Pkey peer = ecPublicPkey(curve, peerPoint.view());
    const PkeyContext context = contextFor(key, EVP_PKEY_derive_init);
    // uncompressedPoint has validated the peer; OpenSSL would do it again with a scalar multiplication.
    require(EVP_PKEY_derive_set_peer_ex(context.get(), peer.get(), 0), "the peer's point was refused");
    Bytes secret(curve.fieldLengthBytes());
    std::size_t length = secret.length();
    require(EVP_PKEY_derive(context.get(), secret.data(), &length), "the ECDH derivation failed");
    return secret;
  });
}

// repeatableEcdsa(longestInput, verifies)
Napi::Value AsymmetricKey::repeatableEcdsa(const Napi::CallbackInfo& info) {
  const std::size_t longestInputBytes = info[0].As<Napi::Number>().Uint32Value();
  const bool verifies = info[1].As<Napi::Boolean>();
  ec(!verifies);
  return handleOf(info.Env(), std::make_shared<RepeatableEcdsa>(ecdsaContexts(verifies), *curve_, longestInputBytes,
                                                                verifies));
}

}  // namespace crypto
