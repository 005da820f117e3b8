#include "handle.h"

#include <sys/mman.h>

#include "convert.h"

namespace levin {

namespace {

struct Handle {
  HandleKind kind;
  Handle* next;  // in the free list
  size_t bytes;  // accounted for this handle
  union {
    at::Tensor tensor;
    at::Generator generator;
  };
  Handle() : kind(HandleKind::Free), next(nullptr), bytes(0) {}
  ~Handle() {}
};

// The reserved range: address space only, memory is taken as handles are used.
constexpr size_t kReserved = size_t{1} << 33;
Handle* firstHandle = nullptr;
size_t usedHandles = 0;
Handle* freeHandles = nullptr;
std::mutex poolMutex;

Handle* allocateHandle() {
  std::lock_guard<std::mutex> lock(poolMutex);
  if (freeHandles != nullptr) {
    Handle* handle = freeHandles;
    freeHandles = handle->next;
    return handle;
  }
  if (firstHandle == nullptr) {
    void* memory = mmap(nullptr, kReserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) throw std::bad_alloc();
    firstHandle = static_cast<Handle*>(memory);
  }
  if ((usedHandles + 1) * sizeof(Handle) > kReserved) throw std::bad_alloc();
  return new (firstHandle + usedHandles++) Handle();
}

void freeHandle(Handle* handle) {
  std::lock_guard<std::mutex> lock(poolMutex);
  handle->kind = HandleKind::Free;
  handle->next = freeHandles;
  freeHandles = handle;
}

bool isHandle(const void* pointer) {
  auto address = reinterpret_cast<uintptr_t>(pointer);
  auto begin = reinterpret_cast<uintptr_t>(firstHandle);
  return firstHandle != nullptr && address >= begin && address < begin + kReserved &&
         (address - begin) % sizeof(Handle) == 0;
}

// What a handle costs beside its storage: the TensorImpl, the JavaScript objects, often a node of the graph.
constexpr int64_t kOverhead = 1024;
constexpr int64_t kLeastThreshold = int64_t{32} << 20;
constexpr int64_t kMostThreshold = int64_t{1} << 30;

struct Accounting {
  int64_t live = 0;          // bytes that live handles of this thread hold
  int64_t handles = 0;
  int64_t baseline = 0;      // `live` after the last collection
  int64_t fullBaseline = 0;  // `live` after the last full collection
  int64_t threshold = kLeastThreshold;
  int64_t minor = 0, major = 0;
  bool collecting = false;
};
thread_local Accounting accounting;

void release(Handle* handle) {
  if (handle->kind == HandleKind::Tensor) handle->tensor.~Tensor();
  if (handle->kind == HandleKind::Generator) handle->generator.~Generator();
  accounting.live -= static_cast<int64_t>(handle->bytes);
  accounting.handles -= 1;
  handle->bytes = 0;
  handle->kind = HandleKind::Disposed;
}

void finalize(node_api_nogc_env, void* data, void*) {
  Handle* handle = static_cast<Handle*>(data);
  if (handle->kind != HandleKind::Disposed) release(handle);
  freeHandle(handle);
}

napi_value external(Environment& environment, Handle* handle) {
  napi_value value = nullptr;
  napi_status status = napi_create_external(environment.env, handle, finalize, nullptr, &value);
  if (status != napi_ok) {
    release(handle);
    freeHandle(handle);
    check(environment, status);
  }
  return value;
}

Handle* find(Environment& environment, napi_value value) {
  if (value == nullptr) return nullptr;
  napi_valuetype type;
  if (napi_typeof(environment.env, value, &type) != napi_ok || type != napi_external) return nullptr;
  void* data = nullptr;
  if (napi_get_value_external(environment.env, value, &data) != napi_ok || !isHandle(data)) return nullptr;
  return static_cast<Handle*>(data);
}

const char* const kDisposed = "the tensor was disposed and can no longer be used; keep a clone() of what is still needed";

void collect(Environment& environment, const char* kind) {
  if (environment.collectGarbage == nullptr) return;
  napi_handle_scope scope = nullptr;
  check(environment, napi_open_handle_scope(environment.env, &scope));
  napi_value function = nullptr;
  napi_value argument = nullptr;
  check(environment, napi_get_reference_value(environment.env, environment.collectGarbage, &function));
  check(environment, napi_create_string_utf8(environment.env, kind, NAPI_AUTO_LENGTH, &argument));
  accounting.collecting = true;
  try {
    callFunction(environment, function, {argument});
  } catch (...) {
    accounting.collecting = false;
    throw;
  }
  accounting.collecting = false;
  napi_close_handle_scope(environment.env, scope);
  environment.deleteDropped();
}

void setBaseline() {
  accounting.baseline = accounting.live;
  accounting.threshold = std::min(kMostThreshold, std::max(kLeastThreshold, accounting.live / 4));
}

}  // namespace

napi_value wrapTensor(Environment& environment, const at::Tensor& tensor) {
  if (!tensor.defined()) {
    napi_value null = nullptr;
    check(environment, napi_get_null(environment.env, &null));
    return null;
  }
  Handle* handle = allocateHandle();
  new (&handle->tensor) at::Tensor(tensor);
  handle->kind = HandleKind::Tensor;
  size_t bytes = kOverhead;
  // A storage is accounted with the first handle on it: later ones are mostly views.
  if (tensor.has_storage() && tensor.storage().use_count() <= 1) bytes += tensor.storage().nbytes();
  handle->bytes = bytes;
  accounting.live += static_cast<int64_t>(bytes);
  accounting.handles += 1;
  return external(environment, handle);
}

napi_value wrapGenerator(Environment& environment, const at::Generator& generator) {
  Handle* handle = allocateHandle();
  new (&handle->generator) at::Generator(generator);
  handle->kind = HandleKind::Generator;
  handle->bytes = 0;
  accounting.handles += 1;
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

void collectUnderPressure(Environment& environment) {
  if (accounting.live - accounting.baseline < accounting.threshold || accounting.collecting) return;
  int64_t before = accounting.live;
  accounting.minor += 1;
  collect(environment, "minor");
  int64_t freed = before - accounting.live;
  bool little = freed < (before - accounting.baseline) / 2;
  if (little && accounting.live - accounting.fullBaseline >= accounting.threshold) {
    accounting.major += 1;
    collect(environment, "major");
    accounting.fullBaseline = accounting.live;
  }
  setBaseline();
}

void collectAll(Environment& environment) {
  if (accounting.collecting) return;
  accounting.major += 1;
  collect(environment, "major");
  accounting.fullBaseline = accounting.live;
  setBaseline();
}

namespace {

// dispose(handle): frees the tensor at once; a second call does nothing.
napi_value dispose(Environment& environment, const Arguments& arguments) {
  Handle* handle = find(environment, arguments[0]);
  if (handle == nullptr) throw ArgumentError("dispose: a tensor is required");
  if (handle->kind != HandleKind::Disposed) release(handle);
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
  setProperty(environment, result, "liveBytes", toJs(environment, accounting.live));
  setProperty(environment, result, "liveTensors", toJs(environment, accounting.handles));
  setProperty(environment, result, "minorCollections", toJs(environment, accounting.minor));
  setProperty(environment, result, "majorCollections", toJs(environment, accounting.major));
  return result;
}

napi_value collectNow(Environment& environment, const Arguments&) {
  collectAll(environment);
  return nullptr;
}

// Tensors on their way to another thread, by token.
std::mutex sharedMutex;
std::unordered_map<int64_t, at::Tensor> sharedTensors;
int64_t nextToken = 1;

// share(handle): a token by which another thread adopts the same tensor, once.
napi_value share(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "share: the tensor");
  std::lock_guard<std::mutex> lock(sharedMutex);
  sharedTensors.emplace(nextToken, tensor);
  return toJs(environment, nextToken++);
}

napi_value adopt(Environment& environment, const Arguments& arguments) {
  int64_t token = toInt(environment, arguments[0], "adopt: the token");
  at::Tensor tensor;
  {
    std::lock_guard<std::mutex> lock(sharedMutex);
    auto found = sharedTensors.find(token);
    if (found == sharedTensors.end()) {
      throw ArgumentError("adopt: no tensor waits under this token; each shared tensor can be received once");
    }
    tensor = std::move(found->second);
    sharedTensors.erase(found);
  }
  return wrapTensor(environment, tensor);
}

}  // namespace

std::vector<Export> memoryExports() {
  return {{"dispose", guarded<dispose>},         {"isDisposed", guarded<isDisposed>},
          {"memoryStats", guarded<memoryStats>}, {"collect", guarded<collectNow>},
          {"share", guarded<share>},             {"adopt", guarded<adopt>}};
}

}  // namespace levin
