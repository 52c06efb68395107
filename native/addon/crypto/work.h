// Runs one operation either at once or on a libuv worker thread.
#pragma once

#include <napi.h>
#include <openssl/err.h>

#include <exception>
#include <optional>
#include <utility>

#include "bytes.h"
#include "failure.h"

namespace crypto {

// The operation owns everything it needs (copied input, its own key reference), so that JavaScript may
// destroy keys and reuse buffers meanwhile. It throws nothing but Failure and std::exception; neither reaches
// libuv.
template <typename Operation>
class PooledWork : public Napi::AsyncWorker {
 public:
  using Result = decltype(std::declval<Operation&>()());

  PooledWork(Napi::Env env, Operation&& operation)
      : AsyncWorker(env), deferred_(Napi::Promise::Deferred::New(env)), operation_(std::move(operation)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

  void Execute() override {
    try {
      result_.emplace(operation_());
    } catch (const Failure& failure) {
      failure_ = failure;
      ERR_clear_error();  // the queue belongs to this worker thread
    } catch (const std::exception&) {
      failure_ = Failure{FailureCode::OperationFailed, "out of memory"};
    }
  }

  void OnOK() override {
    if (failure_) {
      deferred_.Reject(toJsError(Env(), *failure_).Value());
    } else {
      deferred_.Resolve(toJs(Env(), *result_));
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  Operation operation_;
  std::optional<Result> result_;
  std::optional<Failure> failure_;
};

enum class RunOn { ThisThread, WorkerThread };

// The result itself on this thread, a promise of it on a worker thread.
template <typename Operation>
Napi::Value run(Napi::Env env, RunOn where, Operation operation) {
  if (where == RunOn::ThisThread) return toJs(env, operation());
  auto* work = new PooledWork<Operation>(env, std::move(operation));
  const Napi::Promise promise = work->promise();
  work->Queue();
  return promise;
}

}  // namespace crypto
