// What Node does not offer of the operating system: an advisory lock that dies with the process.
#pragma once

#include <napi.h>

namespace host {

Napi::Object exportHost(Napi::Env env);

}  // namespace host
