#include "host.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#ifdef __APPLE__
#include <sys/un.h>
#endif

namespace host {

namespace {

struct Credentials {
  pid_t pid;
  uid_t uid;
  gid_t gid;
};

Napi::Error systemError(Napi::Env env, const char* call, int number) {
  Napi::Error error = Napi::Error::New(env, std::string(call) + ": " + std::strerror(number));
  error.Set("errno", Napi::Number::New(env, number));
  error.Set("syscall", Napi::String::New(env, call));
  return error;
}

bool readPeerCredentials(int fd, Credentials* peer) {
#ifdef __APPLE__
  socklen_t length = sizeof(peer->pid);
  return getpeereid(fd, &peer->uid, &peer->gid) == 0 &&
         getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &peer->pid, &length) == 0;
#else
  ucred credentials{};
  socklen_t length = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) return false;
  *peer = {credentials.pid, credentials.uid, credentials.gid};
  return true;
#endif
}

// peerCredentials(fd) -> { pid, uid, gid } of the process that connected the Unix socket.
Napi::Value peerCredentials(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  if (!info[0].IsNumber()) throw Napi::TypeError::New(env, "fd must be a number");
  Credentials peer{};
  if (!readPeerCredentials(info[0].As<Napi::Number>().Int32Value(), &peer)) {
    throw systemError(env, "getsockopt", errno);
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("pid", Napi::Number::New(env, static_cast<double>(peer.pid)));
  result.Set("uid", Napi::Number::New(env, static_cast<double>(peer.uid)));
  result.Set("gid", Napi::Number::New(env, static_cast<double>(peer.gid)));
  return result;
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
  exports.Set("peerCredentials", Napi::Function::New<peerCredentials>(env, "peerCredentials"));
  exports.Set("tryLockFile", Napi::Function::New<tryLockFile>(env, "tryLockFile"));
  return exports;
}

}  // namespace host
