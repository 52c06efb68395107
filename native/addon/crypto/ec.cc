// ECDSA (FIPS 186-4 chapter 6) and ECDH (SP 800-56A section 5.7.1.2). Where each curve runs is in curves.cc.
#include <openssl/err.h>

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

Bytes sign(EVP_PKEY_CTX* context, View digest, std::size_t orderLength) {
  unsigned char der[maximumDerSignatureBytes];
  std::size_t derLength = sizeof der;
  require(EVP_PKEY_sign(context, der, &derLength, digest.data, digest.length), "the ECDSA signature failed");
  const unsigned char* from = der;
  const EcdsaSignature parsed(d2i_ECDSA_SIG(nullptr, &from, static_cast<long>(derLength)));
  if (!parsed) fail(FailureCode::OperationFailed, "the ECDSA signature failed");
  Bytes raw(2 * orderLength);
  const int length = static_cast<int>(orderLength);
  if (BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), raw.data(), length) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), raw.data() + length, length) < 0) {
    fail(FailureCode::OperationFailed, "the ECDSA signature failed");
  }
  return raw;
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

}  // namespace

// ecdsaSign(digest) -> r || s, or a promise of it
Napi::Value AsymmetricKey::ecdsaSign(const Napi::CallbackInfo& info) {
  const Pkey& key = ec(true);
  const View digest = viewOf(info[0]);
  const std::size_t orderLength = curve_->orderLengthBytes;
  if (curve_->sign == RunOn::ThisThread) {
    if (!signContext_) signContext_ = contextFor(key, EVP_PKEY_sign_init);
    return toJs(info.Env(), sign(signContext_.get(), digest, orderLength));
  }
  return run(info.Env(), curve_->sign, [key = shareKey(key), digest = Bytes(digest), orderLength] {
    const PkeyContext context = contextFor(key, EVP_PKEY_sign_init);
    return sign(context.get(), digest.view(), orderLength);
  });
}

// ecdsaVerify(digest, r || s) -> boolean, or a promise of it
Napi::Value AsymmetricKey::ecdsaVerify(const Napi::CallbackInfo& info) {
  const Pkey& key = ec(false);
  const View digest = viewOf(info[0]);
  const View signature = viewOf(info[1]);
  if (signature.length != 2 * curve_->orderLengthBytes) return Napi::Boolean::New(info.Env(), false);
  if (curve_->verify == RunOn::ThisThread) {
    if (!verifyContext_) verifyContext_ = contextFor(key, EVP_PKEY_verify_init);
    return toJs(info.Env(), verify(verifyContext_.get(), digest, signature));
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

}  // namespace crypto
