// Entry point of the addon: one exports object per part.
#include <napi.h>

#include "addon-data.h"
#include "crypto/crypto.h"
#include "disk/direct-writes.h"
#include "host.h"
#include "tls/stream.h"
#include "transport/transport.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new AddonData());
  exports.Set("crypto", crypto::exportCrypto(env));
  exports.Set("disk", disk::exportDisk(env));
  exports.Set("host", host::exportHost(env));
  exports.Set("tls", tls::exportTls(env));
  exports.Set("transport", transport::exportTransport(env));
  return exports;
}

}  // namespace

NODE_API_MODULE(NODE_GYP_MODULE_NAME, init)
