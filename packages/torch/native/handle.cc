#include "handle.h"

#ifdef __linux__
#include <malloc.h>
#endif
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <utility>

#include "convert.h"

namespace levin {

enum class HandleKind : uint32_t { Free = 0, Disposed, Tensor, Generator };

struct Handle {
  HandleKind kind;
  Handle* next;   // in a list of free ones
  int64_t bytes;  // accounted for this handle
  union {
    at::Tensor tensor;
    at::Generator generator;
  };
  Handle() : kind(HandleKind::Free), next(nullptr), bytes(0) {}
  ~Handle() {}
};

namespace {

// The reserved range: address space only, memory is taken as handles are used.
constexpr size_t kReserved = size_t{1} << 33;
constexpr size_t kMostHandles = kReserved / sizeof(Handle);
constexpr size_t kTakenAtOnce = 256;
std::atomic<Handle*> firstHandle = nullptr;
size_t usedHandles = 0;
Handle* freeHandles = nullptr;  // of environments that have ended
std::mutex poolMutex;

// Gives the environment new handles; it keeps those that it no longer uses.
void takeHandles(Environment& environment) {
  std::lock_guard<std::mutex> lock(poolMutex);
  if (freeHandles != nullptr) {
    environment.freeHandles = std::exchange(freeHandles, nullptr);
    return;
  }
  if (firstHandle == nullptr) {
    void* memory = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    firstHandle = static_cast<Handle*>(memory);
  }
  if (usedHandles + kTakenAtOnce > kMostHandles) throw std::bad_alloc();
  for (size_t i = 0; i < kTakenAtOnce; ++i) {
    auto* handle = new (firstHandle + usedHandles++) Handle();
    handle->next = std::exchange(environment.freeHandles, handle);
  }
}

Handle* allocateHandle(Environment& environment) {
  if (environment.freeHandles == nullptr) takeHandles(environment);
  Handle* handle = environment.freeHandles;
  environment.freeHandles = handle->next;
  return handle;
}

void freeHandle(Environment& environment, Handle* handle) {
  handle->kind = HandleKind::Free;
  handle->next = std::exchange(environment.freeHandles, handle);
}

bool isHandle(const void* pointer) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  auto begin = reinterpret_cast<uintptr_t>(firstHandle.load(std::memory_order_relaxed));
  return begin != 0 && address >= begin && address < begin + kReserved && (address - begin) % sizeof(Handle) == 0;
}

// What a handle costs beside its storage: the TensorImpl, the JavaScript objects, often a node of the graph.
constexpr int64_t kOverhead = 1024;
// A collection of few handles finds their memory still in the processor's cache, which makes the next ones faster.
constexpr int64_t kMostMade = 256;
constexpr int64_t kLeastThreshold = int64_t{16} << 20;
constexpr int64_t kMostThreshold = int64_t{1} << 30;

void release(Environment& environment, Handle* handle) {
  if (handle->kind == HandleKind::Tensor) handle->tensor.~Tensor();
  if (handle->kind == HandleKind::Generator) handle->generator.~Generator();
  environment.counts.bytes -= handle->bytes;
  environment.counts.handles -= 1;
  handle->bytes = 0;
  handle->kind = HandleKind::Disposed;
}

// Runs inside the garbage collection, on the environment's thread.
void finalize(node_api_nogc_env, void* data, void* hint) {
  Handle* handle = static_cast<Handle*>(data);
  Environment& environment = *static_cast<Environment*>(hint);
  if (handle->kind != HandleKind::Disposed) release(environment, handle);
  freeHandle(environment, handle);
}

napi_value external(Environment& environment, Handle* handle) {
  napi_value value = nullptr;
  environment.counts.handles += 1;
  environment.counts.made += 1;
  environment.counts.bytes += handle->bytes;
  napi_status status = napi_create_external(environment.env, handle, finalize, &environment, &value);
  if (status != napi_ok) {
    release(environment, handle);
    freeHandle(environment, handle);
    check(environment, status);
  }
  return value;
}

Handle* find(Environment& environment, napi_value value) {
  void* data = nullptr;
  if (value == nullptr || napi_get_value_external(environment.env, value, &data) != napi_ok || !isHandle(data)) return nullptr;
  return static_cast<Handle*>(data);
}

const char* const kDisposed = "the tensor was disposed and can no longer be used; keep a clone() of what is still needed";

void collect(Environment& environment, const char* kind) {
  if (environment.collectGarbage == nullptr) return;
  // Marks that a collection runs, for as long as it lives.
  struct Collecting {
    bool& flag;
    explicit Collecting(bool& flag) : flag(flag) { flag = true; }
    ~Collecting() { flag = false; }
  };
  HandleScope scope(environment);
  napi_value function = nullptr;
  napi_value argument = nullptr;
  check(environment, napi_get_reference_value(environment.env, environment.collectGarbage, &function));
  check(environment, napi_create_string_utf8(environment.env, kind, NAPI_AUTO_LENGTH, &argument));
  Collecting collecting(environment.counts.collecting);
  callFunction(environment, function, {argument});
  environment.deleteDropped();
}

void collectMajor(Environment& environment) {
  HandleCounts& counts = environment.counts;
  counts.major += 1;
  collect(environment, "major");
  counts.bytesBeforeMajor = counts.bytes;
  counts.bytesBefore = counts.bytes;
  counts.made = 0;
}

// How many more bytes make a collection worth its time.
int64_t threshold(const HandleCounts& counts) {
  return std::clamp(counts.bytesBefore / 4, kLeastThreshold, kMostThreshold);
}

}  // namespace

void keepFreedMemory() {
#ifdef __GLIBC__
  // a user's own settings count
  const char* tunables = std::getenv("GLIBC_TUNABLES");
  bool set = tunables != nullptr && std::strstr(tunables, "glibc.malloc.") != nullptr;
  if (set || std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr || std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr) return;
  mallopt(M_MMAP_THRESHOLD, 24 << 20);
  mallopt(M_TRIM_THRESHOLD, 64 << 20);
#endif
}

void returnHandles(Environment& environment) {
  Handle* handle = std::exchange(environment.freeHandles, nullptr);
  std::lock_guard<std::mutex> lock(poolMutex);
  while (handle != nullptr) {
    Handle* next = handle->next;
    handle->next = std::exchange(freeHandles, handle);
    handle = next;
  }
}

napi_value wrapTensor(Environment& environment, const at::Tensor& tensor, Accounting accounting) {
  if (!tensor.defined()) {
    napi_value null = nullptr;
    check(environment, napi_get_null(environment.env, &null));
    return null;
  }
  Handle* handle = allocateHandle(environment);
  new (&handle->tensor) at::Tensor(tensor);
  handle->kind = HandleKind::Tensor;
  handle->bytes = kOverhead;
  // A storage is accounted with the first handle on it: later ones are mostly views.
  if (accounting == Accounting::Storage && tensor.has_storage() && tensor.storage().use_count() <= 1) {
    handle->bytes += static_cast<int64_t>(tensor.storage().nbytes());
  }
  return external(environment, handle);
}

napi_value wrapGenerator(Environment& environment, const at::Generator& generator) {
  Handle* handle = allocateHandle(environment);
  new (&handle->generator) at::Generator(generator);
  handle->kind = HandleKind::Generator;
  return external(environment, handle);
}

const at::Tensor* findTensor(Environment& environment, napi_value value) {
  Handle* handle = find(environment, value);
  if (handle == nullptr) return nullptr;
  if (handle->kind == HandleKind::Disposed) throw DisposedError(kDisposed);
  return handle->kind == HandleKind::Tensor ? &handle->tensor : nullptr;
}

bool isTensor(Environment& environment, napi_value value) { return findTensor(environment, value) != nullptr; }

bool isGenerator(Environment& environment, napi_value value) {
  Handle* handle = find(environment, value);
  return handle != nullptr && handle->kind == HandleKind::Generator;
}

const at::Tensor& unwrapTensor(Environment& environment, napi_value value, const char* what) {
  Handle* handle = find(environment, value);
  if (handle != nullptr && handle->kind == HandleKind::Tensor) return handle->tensor;
  if (handle != nullptr && handle->kind == HandleKind::Disposed) throw DisposedError(kDisposed);
  throw ArgumentError(std::string(what) + " must be a Tensor, got " + describe(environment, value));
}

at::Generator unwrapGenerator(Environment& environment, napi_value value, const char* what) {
  Handle* handle = find(environment, value);
  if (handle != nullptr && handle->kind == HandleKind::Generator) return handle->generator;
  throw ArgumentError(std::string(what) + " must be a Generator, got " + describe(environment, value));
}

at::Tensor unwrapOptionalTensor(Environment& environment, napi_value value, const char* what) {
  if (isNullish(environment, value)) return {};
  return unwrapTensor(environment, value, what);
}

std::vector<at::Tensor> unwrapTensors(Environment& environment, napi_value value, const char* what) {
  std::vector<at::Tensor> tensors;
  uint32_t length = arrayLength(environment, value, what);
  tensors.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, value, i, &element));
    tensors.push_back(unwrapTensor(environment, element, what));
  }
  return tensors;
}

bool refill(Environment& environment, const std::vector<napi_value>& handles, const std::vector<at::Tensor>& tensors) {
  std::vector<Handle*> found;
  found.reserve(handles.size());
  for (napi_value value : handles) {
    Handle* handle = find(environment, value);
    if (handle == nullptr || handle->kind != HandleKind::Disposed) return false;
    found.push_back(handle);
  }
  for (size_t i = 0; i < found.size(); ++i) {
    new (&found[i]->tensor) at::Tensor(tensors[i]);
    found[i]->kind = HandleKind::Tensor;
  }
  environment.counts.handles += static_cast<int64_t>(found.size());
  return true;
}

void collectUnderPressure(Environment& environment) {
  HandleCounts& counts = environment.counts;
  bool many = counts.made >= kMostMade;
  bool large = counts.bytes - counts.bytesBefore >= threshold(counts);
  if ((!many && !large) || counts.collecting || counts.paused) return;
  int64_t before = counts.bytes;
  counts.minor += 1;
  collect(environment, "minor");
  counts.made = 0;
  if (!large) {
    counts.bytesBefore = std::min(counts.bytesBefore, counts.bytes);
    return;
  }
  // What survives a collection of the young is old: it takes a full one to free it.
  bool little = before - counts.bytes < (before - counts.bytesBefore) / 2;
  counts.bytesBefore = counts.bytes;
  if (little && counts.bytes - counts.bytesBeforeMajor >= threshold(counts)) collectMajor(environment);
}

bool isOutOfMemory() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    return true;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const c10::Error& error) {
    // The CPU allocator reports it by a plain error.
    return std::string_view(error.what_without_backtrace()).find("can't allocate memory") != std::string_view::npos;
  } catch (...) {
    return false;
  }
}

void collectAll(Environment& environment) {
  if (!environment.counts.collecting) collectMajor(environment);
}

namespace {

// dispose(handle): frees the tensor at once; a second call does nothing.
napi_value dispose(Environment& environment, const Arguments& arguments) {
  Handle* handle = find(environment, arguments[0]);
  if (handle == nullptr) throw ArgumentError("dispose: a tensor is required");
  if (handle->kind != HandleKind::Disposed) release(environment, handle);
  return nullptr;
}

// disposeAll(handles): dispose() of many.
napi_value disposeAll(Environment& environment, const Arguments& arguments) {
  uint32_t length = arrayLength(environment, arguments[0], "disposeAll: tensors");
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, arguments[0], i, &element));
    Handle* handle = find(environment, element);
    if (handle == nullptr) throw ArgumentError("disposeAll: tensors are required");
    if (handle->kind != HandleKind::Disposed) release(environment, handle);
  }
  return nullptr;
}

napi_value isDisposed(Environment& environment, const Arguments& arguments) {
  Handle* handle = find(environment, arguments[0]);
  return toJs(environment, handle == nullptr || handle->kind == HandleKind::Disposed);
}

// memoryStats(): { liveBytes, liveTensors, minorCollections, majorCollections } of this thread.
napi_value memoryStats(Environment& environment, const Arguments&) {
  napi_value result = nullptr;
  check(environment, napi_create_object(environment.env, &result));
  setProperty(environment, result, "liveBytes", toJs(environment, environment.counts.bytes));
  setProperty(environment, result, "liveTensors", toJs(environment, environment.counts.handles));
  setProperty(environment, result, "minorCollections", toJs(environment, environment.counts.minor));
  setProperty(environment, result, "majorCollections", toJs(environment, environment.counts.major));
  return result;
}

// pauseCollection(value): whether memory pressure has no effect, because all that is made now will be kept. Gives what it was.
napi_value pauseCollection(Environment& environment, const Arguments& arguments) {
  bool value = false;
  check(environment, napi_get_value_bool(environment.env, arguments[0], &value));
  collectUnderPressure(environment);
  return toJs(environment, std::exchange(environment.counts.paused, value));
}

napi_value collectNow(Environment& environment, const Arguments&) {
  collectAll(environment);
  return nullptr;
}

// A tensor on its way to another thread.
struct Shared {
  at::Tensor tensor;
  bool requiresGrad;
};

// By token. Never destroyed: a device's library may have ended before the end of the process comes here.
std::mutex sharedMutex;
std::unordered_map<int64_t, Shared>& sharedTensors() {
  static auto* tensors = new std::unordered_map<int64_t, Shared>();
  return *tensors;
}
int64_t nextToken = 1;

// share(handle): a token by which another thread adopts, once, a tensor over the same memory. Shape and type of the two are
// their own, and the memory can no longer be resized: neither thread can change what the other one is about to read.
napi_value share(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "share: the tensor");
  if (!tensor.is_leaf()) {
    throw ArgumentError("share: the tensor is part of a graph, which belongs to this thread; share tensor.detach()");
  }
  Shared shared{tensor.is_inference() ? tensor.detach() : tensor.variable_data(), tensor.requires_grad()};
  if (tensor.has_storage()) tensor.storage().unsafeGetStorageImpl()->set_resizable(false);
  int64_t token = 0;
  {
    std::lock_guard<std::mutex> lock(sharedMutex);
    token = nextToken++;
    sharedTensors().emplace(token, std::move(shared));
  }
  return toJs(environment, token);
}

napi_value adopt(Environment& environment, const Arguments& arguments) {
  int64_t token = toInt(environment, arguments[0], "receive: the shared tensor's number");
  Shared shared;
  {
    std::lock_guard<std::mutex> lock(sharedMutex);
    auto found = sharedTensors().find(token);
    if (found == sharedTensors().end()) {
      throw ArgumentError("receive: no tensor waits under this number; each shared tensor can be received once");
    }
    shared = std::move(found->second);
    sharedTensors().erase(found);
  }
  if (shared.requiresGrad) shared.tensor.requires_grad_(true);
  return wrapTensor(environment, shared.tensor);
}

}  // namespace

std::vector<Export> memoryExports() {
  return {{"dispose", guarded<dispose>},         {"disposeAll", guarded<disposeAll>}, {"isDisposed", guarded<isDisposed>},
          {"memoryStats", guarded<memoryStats>}, {"collect", guarded<collectNow>}, {"pauseCollection", guarded<pauseCollection>},
          {"share", guarded<share>},             {"adopt", guarded<adopt>}};
}

}  // namespace levin
