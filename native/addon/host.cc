#include "host.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

namespace host {

namespace {

Napi::Error systemError(Napi::Env env, const char* call, int number) {
  Napi::Error error = Napi::Error::New(env, std::string(call) + ": " + std::strerror(number));
  error.Set("errno", Napi::Number::New(env, number));
  error.Set("syscall", Napi::String::New(env, call));
  return error;
}

// tryLockFile(path) -> true when this call took the lock. The descriptor stays open on purpose: the kernel
// releases the lock when the process ends, however it ends. flock locks belong to the open file, so a second
// attempt in the same process is refused like anybody else's.
Napi::Value tryLockFile(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsString()) throw Napi::TypeError::New(env, "path must be a string");
  const std::string path = info[0].As<Napi::String>().Utf8Value();
  if (path.find('\0') != std::string::npos) throw systemError(env, "open", EINVAL);
  const int fd = open(path.c_str(), O_CREAT | O_CLOEXEC | O_RDWR, 0600);
  if (fd < 0) throw systemError(env, "open", errno);
  int result;
  do {
    result = flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Napi::Boolean::New(env, true);
  const int number = errno;
  close(fd);
  if (number != EWOULDBLOCK) throw systemError(env, "flock", number);
  return Napi::Boolean::New(env, false);
}

}  // namespace

Napi::Object exportHost(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("tryLockFile", Napi::Function::New<tryLockFile>(env, "tryLockFile"));
  return exports;
}

}  // namespace host
