// What JavaScript shares of sessions, and has answered again.
#include "transport.h"

namespace transport {

void Transport::share(const Napi::CallbackInfo& info) {
  const auto session = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  sessions_.share(info[0].As<Napi::Number>().Uint32Value(), session, info[2].As<Napi::Float64Array>());
}

void Transport::unshare(const Napi::CallbackInfo& info) {
  const auto session = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  sessions_.unshare(info[0].As<Napi::Number>().Uint32Value(), session);
}

Napi::Value Transport::lendReads(const Napi::CallbackInfo& info) {
  const uint32_t lease = sessions_.reads.lease(info[0].As<Napi::Float64Array>(), info[1].As<Napi::Float64Array>());
  return Napi::Number::New(info.Env(), lease);
}

void Transport::endReads(const Napi::CallbackInfo& info) {
  sessions_.reads.end(info[0].As<Napi::Number>().Uint32Value());
}

void Transport::keep(const Napi::CallbackInfo& info) {
  const auto request = info[1].As<Napi::Buffer<uint8_t>>();
  const auto answer = info[2].As<Napi::Buffer<uint8_t>>();
  sessions_.keep(info[0].As<Napi::Number>().Uint32Value(), request.Data(), request.Length(),
                 info[3].As<Napi::Number>().Uint32Value(), Octets(answer.Data(), answer.Data() + answer.Length()));
}

}  // namespace transport
