// Two questions to the operating system that Node does not answer: who is behind a Unix socket, and an
// advisory lock that dies with the process.
#pragma once

#include <napi.h>

namespace host {

Napi::Object exportHost(Napi::Env env);

}  // namespace host
