// Writes past the page cache, handed to the kernel without a thread that waits for them: for small writes that somebody waits for.
#pragma once

#include <napi.h>

namespace disk {

// disk.write(descriptor, bytes, position, done(written)) -> whether the kernel has taken the write. If so `done` is called later, with how many
// bytes were written, or with the negative number of the system's error. The descriptor's flags say when a write is done: O_DIRECT and
// O_DSYNC are the caller's. `bytes` are copied, so they may change at once.
Napi::Object exportDisk(Napi::Env env);

}  // namespace disk
