// A frame that came in several turns, as JavaScript gets it.
#pragma once

#include <napi.h>

#include <cstdint>
#include <vector>

namespace transport {

// A Buffer of these bytes, which are overwritten when it is collected or let go.
Napi::Value handOn(Napi::Env env, std::vector<std::uint8_t>&& bytes);

// release(frame): nobody reads such a Buffer any more. Collecting it would take V8 a look at its whole heap, once for some of them.
void letGo(const Napi::CallbackInfo& info);

}  // namespace transport
