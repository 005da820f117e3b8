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
#include <ATen/core/ivalue.h>

#include <atomic>
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
struct Exchange;
struct Handle;

// A reference to a JavaScript value that may be dropped from any thread and inside the garbage collector.
class JsReference {
 public:
  enum class Kind { Strong, Weak };
  JsReference(Environment& environment, napi_value value, Kind kind = Kind::Strong);
  ~JsReference();
  JsReference(const JsReference&) = delete;
  JsReference& operator=(const JsReference&) = delete;
  // On the environment's thread. Null where a weak one's value was collected.
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

// What the handles of one environment hold, and how often that made it collect garbage.
struct HandleCounts {
  int64_t bytes = 0;
  int64_t handles = 0;
  int64_t made = 0;              // since the last collection
  int64_t bytesBefore = 0;       // `bytes` after the last collection
  int64_t bytesBeforeMajor = 0;  // `bytes` after the last collection of everything
  int64_t minor = 0, major = 0;
  bool collecting = false;
  bool paused = false;
};

// One for each time that a JavaScript thread loads the addon.
struct Environment : std::enable_shared_from_this<Environment> {
  Environment(napi_env env);
  ~Environment();

  const napi_env env;
  const std::thread::id thread;
  napi_ref argumentError = nullptr;
  napi_ref operatorError = nullptr;
  napi_ref disposedError = nullptr;
  napi_ref collectGarbage = nullptr;  // (kind: "minor" | "major") => void
  int64_t id = 0;                            // counted from 1 as threads load the addon
  const std::unique_ptr<Exchange> exchange;  // calls from threads of the autograd engine
  std::atomic<bool> closed = false;          // the thread has ended, or is about to

  HandleCounts counts;
  Handle* freeHandles = nullptr;  // a list
  std::vector<c10::IValue> spareStack;  // memory for the arguments of the next call

  std::mutex mutex;
  std::vector<napi_ref> dropped;  // references to delete at the next call

  void deleteDropped();
};

// Values made while it lives can be collected once it is gone.
class HandleScope {
 public:
  explicit HandleScope(Environment& environment);
  ~HandleScope();
  HandleScope(const HandleScope&) = delete;
  HandleScope& operator=(const HandleScope&) = delete;

 private:
  napi_env env_;
  napi_handle_scope scope_ = nullptr;
};

// Turns a failed Node-API status into a C++ exception.
void check(Environment& environment, napi_status status);

// Calls a JavaScript function on its own thread; its exception becomes a JsException.
napi_value callFunction(Environment& environment, napi_value function, const std::vector<napi_value>& arguments);

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
  // Most calls have few arguments, and Node-API fills all places that it is given.
  constexpr size_t kFew = 8;
  napi_value few[kFew];
  size_t count = kFew;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, few, nullptr, &data);
  Environment& environment = *static_cast<Environment*>(data);
  try {
    if (count <= kFew) return F(environment, {few, count});
    if (count > Arguments::kMost) throw ArgumentError("too many arguments: at most 80 are allowed");
    napi_value many[Arguments::kMost];
    napi_get_cb_info(env, info, &count, many, nullptr, nullptr);
    return F(environment, {many, count});
  } catch (...) {
    throwCurrent(environment);
    return nullptr;
  }
}

struct Export {
  const char* name;
  napi_callback callback;
};

// Gives a thread its default generator.
void startRandom(Environment& environment);

// Each file gives its functions in one such list.
std::vector<Export> dispatchExports();
std::vector<Export> tensorExports();
std::vector<Export> autogradExports();
std::vector<Export> randomExports();
std::vector<Export> deviceExports();
std::vector<Export> memoryExports();
std::vector<Export> acceleratorExports();
std::vector<Export> anomalyExports();
std::vector<Export> profilerExports();
std::vector<Export> observeExports();
std::vector<Export> addressExports();
std::vector<Export> settingsExports();
std::vector<Export> savedHooksExports();
std::vector<Export> transformExports();

}  // namespace levin
