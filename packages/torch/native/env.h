// What every file of the addon shares: the per-thread environment, errors, and calls into JavaScript.
#pragma once

// The experimental Node-API lets finalizers run inside the garbage collector. Without it they wait for the event loop,
// which a synchronous training loop never reaches.
#ifndef NAPI_EXPERIMENTAL
#define NAPI_EXPERIMENTAL
#endif
#undef NAPI_VERSION
#define NAPI_VERSION 2147483647
#include <node_api.h>

#include <ATen/ATen.h>

#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace levin {

// An error of the caller: wrong type, count or value of an argument. Becomes ArgumentError.
struct ArgumentError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Use of a tensor or generator after dispose(). Becomes DisposedError.
struct DisposedError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct Environment;
struct CallQueue;

// A reference to a JavaScript value that may be dropped from any thread and inside the garbage collector.
class JsReference {
 public:
  JsReference(Environment& environment, napi_value value);
  ~JsReference();
  JsReference(const JsReference&) = delete;
  JsReference& operator=(const JsReference&) = delete;
  napi_value value() const;
  Environment& environment() const;

 private:
  std::shared_ptr<Environment> environment_;
  napi_ref reference_ = nullptr;
};

// An exception thrown by JavaScript code that was called from C++; travels through libtorch and is thrown again as it is.
struct JsException : std::exception {
  explicit JsException(std::shared_ptr<JsReference> thrown) : thrown(std::move(thrown)) {}
  const char* what() const noexcept override { return "exception thrown by JavaScript code"; }
  std::shared_ptr<JsReference> thrown;
};

// One per JavaScript thread that loaded the addon.
struct Environment : std::enable_shared_from_this<Environment> {
  napi_env env = nullptr;
  std::thread::id thread;
  napi_ref argumentError = nullptr;
  napi_ref operatorError = nullptr;
  napi_ref disposedError = nullptr;
  napi_ref collectGarbage = nullptr;  // (kind: "minor" | "major") => void
  CallQueue* queue = nullptr;         // set while a backward pass runs on a helper thread
  bool closed = false;

  std::mutex mutex;
  std::vector<napi_ref> dropped;  // references to delete at the next call

  void deleteDropped();
  // The environment of the current thread; throws where the addon was not loaded.
  static Environment& current();
};

// Turns a failed Node-API status into a C++ exception.
void check(Environment& environment, napi_status status);

// Calls a JavaScript function; its exception becomes a JsException. From another thread, the call is made by the thread that owns it.
napi_value callFunction(Environment& environment, napi_value function, const std::vector<napi_value>& arguments);

// Runs `task` on the environment's JavaScript thread: directly when already there, through the queue otherwise.
void onJsThread(Environment& environment, const std::function<void()>& task);

// Runs `work` while serving calls to JavaScript that other threads ask for. With `helper` false it simply runs it.
void whileServing(Environment& environment, bool helper, const std::function<void()>& work);

// The arguments of one call from JavaScript.
struct Arguments {
  static constexpr size_t kMost = 80;
  const napi_value* values;
  size_t count;
  napi_value operator[](size_t i) const { return i < count ? values[i] : nullptr; }
};

using Function = napi_value (*)(Environment&, const Arguments&);

// Throws the JavaScript error for the C++ exception in flight. To be called inside a catch block.
void throwCurrent(Environment& environment) noexcept;

// What Node-API calls for `F`: nothing that is thrown inside leaves it but as a JavaScript error.
template <Function F>
napi_value guarded(napi_env env, napi_callback_info info) noexcept {
  Environment* environment = nullptr;
  try {
    environment = &Environment::current();
    // Most calls have few arguments, and Node-API fills all places that it is given.
    constexpr size_t kFew = 8;
    napi_value few[kFew];
    size_t count = kFew;
    napi_get_cb_info(env, info, &count, few, nullptr, nullptr);
    if (count <= kFew) return F(*environment, {few, count});
    if (count > Arguments::kMost) throw ArgumentError("too many arguments: at most 80 are allowed");
    napi_value many[Arguments::kMost];
    napi_get_cb_info(env, info, &count, many, nullptr, nullptr);
    return F(*environment, {many, count});
  } catch (...) {
    if (environment != nullptr) {
      throwCurrent(*environment);
    } else {
      napi_throw_error(env, nullptr, "the native addon was not loaded in this thread");
    }
    return nullptr;
  }
}

struct Export {
  const char* name;
  napi_callback callback;
};

// Each file gives its functions in one such list.
std::vector<Export> dispatchExports();
std::vector<Export> tensorExports();
std::vector<Export> autogradExports();
std::vector<Export> randomExports();
std::vector<Export> deviceExports();
std::vector<Export> memoryExports();

}  // namespace levin
