#include "context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

namespace tls {

namespace {

using Bio = std::unique_ptr<BIO, crypto::Release<BIO_free_all>>;
using X509Pointer = std::unique_ptr<X509, crypto::Release<X509_free>>;

// No certificate is larger than this with all that certify it.
constexpr size_t PEM_BYTES = 1024 * 1024;

Bio textOf(const Napi::Value& value) {
  std::string text = value.As<Napi::String>().Utf8Value();
  if (text.size() > PEM_BYTES) return nullptr;
  Bio bio(BIO_new(BIO_s_mem()));
  if (bio && BIO_write(bio.get(), text.data(), static_cast<int>(text.size())) < 0) bio.reset();
  OPENSSL_cleanse(text.data(), text.size());
  return bio;
}

// A key behind a password is none: nobody is asked at a terminal.
int noPassword(char*, int, int, void*) { return -1; }

// Its own certificate, then those that certify it.
bool useCertificates(SSL_CTX* context, BIO* pem) {
  const X509Pointer own(PEM_read_bio_X509_AUX(pem, nullptr, noPassword, nullptr));
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) return false;
  for (;;) {
    const X509Pointer next(PEM_read_bio_X509(pem, nullptr, noPassword, nullptr));
    if (!next) break;
    if (SSL_CTX_add1_chain_cert(context, next.get()) != 1) return false;
  }
  ERR_clear_error();  // the end of the text
  return true;
}

bool useKey(SSL_CTX* context, BIO* pem) {
  const crypto::Pkey key(PEM_read_bio_PrivateKey(pem, nullptr, noPassword, nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1 && SSL_CTX_check_private_key(context) == 1;
}

bool trust(SSL_CTX* context, BIO* pem, bool server) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  for (;; count++) {
    const X509Pointer authority(PEM_read_bio_X509(pem, nullptr, noPassword, nullptr));
    if (!authority) break;
    if (X509_STORE_add_cert(store, authority.get()) != 1) return false;
    if (server && SSL_CTX_add_client_CA(context, authority.get()) != 1) return false;
  }
  ERR_clear_error();
  return count > 0;
}

bool limitProtocol(SSL_CTX* context, const std::string& ciphers, const std::string& suites) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_CLEANSE_PLAINTEXT);
  // Sessions are not resumed: each connection shows its certificate.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, ciphers.c_str()) == 1 &&
         SSL_CTX_set_ciphersuites(context, suites.c_str()) == 1 && SSL_CTX_set_num_tickets(context, 0) == 1;
}

// Of one environment: what Stream may unwrap.
constexpr napi_type_tag contextTag = {0x6d0f2a77c0e94b5bULL, 0x9a1e5d3c84f60712ULL};

}  // namespace

std::string lastComplaint() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = ERR_reason_error_string(code);
  return reason == nullptr ? "OpenSSL refuses" : reason;
}

Context::Context(const Napi::CallbackInfo& info)
    : ObjectWrap(info), server_(info[0].ToBoolean()), context_(SSL_CTX_new(TLS_method())) {
  ERR_clear_error();
  SSL_CTX* context = context_.get();
  const auto require = [&](bool done, const char* what) {
    if (!done) throw Napi::Error::New(info.Env(), std::string(what) + ": " + lastComplaint());
  };
  require(context != nullptr, "TLS");
  require(limitProtocol(context, info[4].As<Napi::String>(), info[5].As<Napi::String>()), "the ciphers");
  const Bio certificate = textOf(info[1]);
  require(certificate && useCertificates(context, certificate.get()), "the certificate");
  const Bio key = textOf(info[2]);
  require(key && useKey(context, key.get()), "the private key");
  const Bio authorities = textOf(info[3]);
  require(authorities && trust(context, authorities.get(), server_), "the trust anchors");
  // Beside the chain OpenSSL looks whether the certificate may be a client's, or a server's.
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // One system call for a record instead of two.
  SSL_CTX_set_read_ahead(context, 1);
  napi_type_tag_object(info.Env(), info.This(), &contextTag);
}

bool Context::isOne(const Napi::Value& value) {
  bool tagged = false;
  return value.IsObject() &&
         napi_check_object_type_tag(value.Env(), value, &contextTag, &tagged) == napi_ok && tagged;
}

Napi::Function Context::define(Napi::Env env) { return DefineClass(env, "Context", {}); }

}  // namespace tls
