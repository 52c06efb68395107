#include "direct-writes.h"

#ifdef __linux__

#include <linux/aio_abi.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "../addon-data.h"
#include "../loop-handle.h"

namespace disk {

namespace {

// What a disk's blocks and pages of memory are multiples of, wherever we run.
constexpr size_t ALIGNMENT = 4096;
// Longer writes take so long that a thread may wait for them.
constexpr size_t LONGEST_WRITE_BYTES = 16 * 1024;
constexpr unsigned MOST_WRITES = 16;

struct AlignedDeleter {
  void operator()(uint8_t* bytes) const { std::free(bytes); }
};
using AlignedBytes = std::unique_ptr<uint8_t, AlignedDeleter>;

// A write under way, or room for one.
struct Place {
  AlignedBytes bytes;
  Napi::FunctionReference done;
};

}  // namespace

// The kernel's queue of writes, and who is told of those that are done: one per event loop.
class DirectWrites {
 public:
  explicit DirectWrites(Napi::Env env) : env_(env), context_(env, "cloudhsm-local.disk") {
    descriptor_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor_ < 0) return;
    if (syscall(SYS_io_setup, MOST_WRITES, &queue_) != 0) return;
    uv_loop_t* loop;
    napi_get_uv_event_loop(env, &loop);
    handle_ = loopHandle<uv_poll_t>(
        this, [this, loop](uv_poll_t* handle) { uv_poll_init(loop, handle, descriptor_); });
    for (Place& place : places_) free_.push_back(&place);
    uv_poll_start(handle_.get(), UV_READABLE, [](uv_poll_t* handle, int, int) {
      static_cast<DirectWrites*>(handle->data)->onDone();
    });
  }

  DirectWrites(const DirectWrites&) = delete;
  DirectWrites& operator=(const DirectWrites&) = delete;
  ~DirectWrites() {
    // Waits for what is under way: the kernel reads our memory for it.
    if (queue_ != 0) syscall(SYS_io_destroy, queue_);
    handle_.reset();
    if (descriptor_ >= 0) ::close(descriptor_);
  }

  bool write(int descriptor, const Napi::Buffer<uint8_t>& bytes, int64_t position, const Napi::Function& done) {
    if (bytes.Length() > LONGEST_WRITE_BYTES || free_.empty()) return false;
    Place* place = free_.back();
    if (!place->bytes) place->bytes.reset(static_cast<uint8_t*>(std::aligned_alloc(ALIGNMENT, LONGEST_WRITE_BYTES)));
    if (!place->bytes) return false;
    std::memcpy(place->bytes.get(), bytes.Data(), bytes.Length());
    iocb request{};
    request.aio_data = reinterpret_cast<uint64_t>(place);
    request.aio_lio_opcode = IOCB_CMD_PWRITE;
    request.aio_fildes = static_cast<uint32_t>(descriptor);
    request.aio_buf = reinterpret_cast<uint64_t>(place->bytes.get());
    request.aio_nbytes = bytes.Length();
    request.aio_offset = position;
    request.aio_flags = IOCB_FLAG_RESFD;
    request.aio_resfd = static_cast<uint32_t>(descriptor_);
    iocb* requests = &request;
    if (syscall(SYS_io_submit, queue_, 1, &requests) != 1) return false;
    // It may be done, and is told of only from the event loop.
    free_.pop_back();
    place->done = Napi::Persistent(done);
    if (free_.size() == MOST_WRITES - 1) uv_ref(baseOf(handle_.get()));
    return true;
  }

 private:
  void onDone() {
    uint64_t count;
    if (::read(descriptor_, &count, sizeof count) < 0) return;
    std::array<io_event, MOST_WRITES> events;
    timespec now{};
    const long found = syscall(SYS_io_getevents, queue_, 0, MOST_WRITES, events.data(), &now);
    if (found <= 0) return;
    const Napi::HandleScope scope(env_);
    const Napi::CallbackScope callbacks(env_, context_);
    try {
      for (long i = 0; i < found; i++) tell(events[i]);
    } catch (const Napi::Error& error) {
      napi_fatal_exception(env_, error.Value());
    }
  }

  void tell(const io_event& event) {
    auto* place = reinterpret_cast<Place*>(event.data);
    const Napi::FunctionReference done = std::move(place->done);
    free_.push_back(place);
    if (free_.size() == MOST_WRITES) uv_unref(baseOf(handle_.get()));
    done.Call({Napi::Number::New(env_, static_cast<double>(event.res))});
  }

  Napi::Env env_;
  Napi::AsyncContext context_;
  int descriptor_ = -1;
  aio_context_t queue_ = 0;
  LoopHandle<uv_poll_t> handle_;  // none: this system takes no such writes
  std::array<Place, MOST_WRITES> places_;
  std::vector<Place*> free_;
};

namespace {

Napi::Value write(const Napi::CallbackInfo& info) {
  auto& writes = info.Env().GetInstanceData<AddonData>()->directWrites;
  if (!writes) writes = std::make_shared<DirectWrites>(info.Env());
  const bool taken = writes->write(info[0].As<Napi::Number>().Int32Value(), info[1].As<Napi::Buffer<uint8_t>>(),
                                   info[2].As<Napi::Number>().Int64Value(), info[3].As<Napi::Function>());
  return Napi::Boolean::New(info.Env(), taken);
}

}  // namespace

Napi::Object exportDisk(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("write", Napi::Function::New<write>(env));
  return exports;
}

}  // namespace disk

#else

namespace disk {

Napi::Object exportDisk(Napi::Env env) {
  Napi::Object exports = Napi::Object::New(env);
  exports.Set("write", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
    return Napi::Boolean::New(info.Env(), false);
  }));
  return exports;
}

}  // namespace disk

#endif
