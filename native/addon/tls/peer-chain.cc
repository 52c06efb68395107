// Who the peer is, in the words of its certificates.
#include <openssl/x509.h>

#include "context.h"
#include "stream.h"

namespace tls {

namespace {

void addDer(const Napi::Array& chain, X509* certificate) {
  const Napi::Env env = chain.Env();
  const int length = i2d_X509(certificate, nullptr);
  if (length <= 0) throw Napi::Error::New(env, lastComplaint());
  const auto der = Napi::Buffer<uint8_t>::New(env, static_cast<size_t>(length));
  uint8_t* end = der.Data();
  i2d_X509(certificate, &end);
  chain.Set(chain.Length(), der);
}

}  // namespace

Napi::Value Stream::peerChain(const Napi::CallbackInfo& info) {
  const Napi::Array chain = Napi::Array::New(info.Env());
  const STACK_OF(X509)* verified = SSL_get0_verified_chain(ssl_.get());
  for (int at = 0; at < sk_X509_num(verified); at++) addDer(chain, sk_X509_value(verified, at));
  const STACK_OF(X509)* presented = SSL_get_peer_cert_chain(ssl_.get());
  for (int at = 0; at < sk_X509_num(presented); at++) {
    X509* certificate = sk_X509_value(presented, at);
    bool known = false;
    for (int other = 0; other < sk_X509_num(verified); other++)
      known = known || X509_cmp(certificate, sk_X509_value(verified, other)) == 0;
    if (!known) addDer(chain, certificate);
  }
  return chain;
}

}  // namespace tls
