// The settings of one end of TLS connections: who it is, and whom it trusts.
#pragma once

#include <napi.h>
#include <openssl/ssl.h>

#include "../crypto/openssl.h"

namespace tls {

using SslContext = std::unique_ptr<SSL_CTX, crypto::Release<SSL_CTX_free>>;

class Context : public Napi::ObjectWrap<Context> {
 public:
  static Napi::Function define(Napi::Env env);
  // new Context(server, certificate, privateKey, authorities, ciphers, suites), all but `server` text: PEM, and OpenSSL's names of
  // ciphers for TLS 1.2 and 1.3. Throws what is wrong with them.
  explicit Context(const Napi::CallbackInfo& info);

  SSL_CTX* get() const { return context_.get(); }
  bool server() const { return server_; }
  static bool isOne(const Napi::Value& value);

 private:
  const bool server_;
  SslContext context_;
};

// The last thing that OpenSSL complained about; there is none left then.
std::string lastComplaint();

}  // namespace tls
