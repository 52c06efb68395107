// Handles of libuv's that belong to an object of ours, which they do not outlive: closed with it, and deleted by the event loop.
#pragma once

#include <uv.h>

#include <memory>

template <typename Handle>
uv_handle_t* baseOf(Handle* handle) {
  return reinterpret_cast<uv_handle_t*>(handle);
}

template <typename Handle>
void closeHandle(Handle* handle) {
  uv_close(baseOf(handle), [](uv_handle_t* closed) { delete reinterpret_cast<Handle*>(closed); });
}

template <typename Handle>
struct HandleCloser {
  void operator()(Handle* handle) const { closeHandle(handle); }
};

template <typename Handle>
using LoopHandle = std::unique_ptr<Handle, HandleCloser<Handle>>;

// A handle that `initialise` has made ready, with its owner for its data. Others keep the process alive, not this.
template <typename Handle, typename Initialise>
LoopHandle<Handle> loopHandle(void* owner, const Initialise& initialise) {
  auto* handle = new Handle;
  initialise(handle);
  handle->data = owner;
  uv_unref(baseOf(handle));
  return LoopHandle<Handle>(handle);
}
