#include "large-frame.h"

#include <utility>

#include "group.h"

namespace transport {

Napi::Value handOn(Napi::Env env, std::vector<std::uint8_t>&& bytes) {
  auto* kept = new std::vector<std::uint8_t>(std::move(bytes));
  return Napi::Buffer<std::uint8_t>::New(
      env, kept->data(), kept->size(),
      [](Napi::Env, std::uint8_t*, std::vector<std::uint8_t>* octets) {
        cleanse(*octets);
        delete octets;
      },
      kept);
}

void letGo(const Napi::CallbackInfo& info) {
  const auto bytes = info[0].As<Napi::TypedArray>().ArrayBuffer();
  if (napi_detach_arraybuffer(info.Env(), bytes) != napi_ok)
    throw Napi::TypeError::New(info.Env(), "no frame of a request");
}

}  // namespace transport
