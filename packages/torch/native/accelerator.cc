// The accelerator of this machine: its devices, and the memory that libtorch keeps there.
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <dlfcn.h>

#include "convert.h"

namespace levin {

namespace {

using c10::CachingAllocator::Stat;
using c10::CachingAllocator::StatArray;

at::DeviceType accelerator() { return at::accelerator::getAccelerator(true).value(); }

// Makes what the device needs before the first use; without a device, an error that says so.
c10::DeviceIndex toIndex(Environment& environment, napi_value value) {
  at::globalContext().lazyInitDevice(accelerator());
  if (isNullish(environment, value)) return at::accelerator::getDeviceIndex();
  int64_t index = toInt(environment, value, "the number of the device");
  if (index < 0 || index >= at::accelerator::deviceCount()) {
    throw ArgumentError("there is no device number " + std::to_string(index) + "; there are " +
                        std::to_string(at::accelerator::deviceCount()));
  }
  return static_cast<c10::DeviceIndex>(index);
}

// The allocator once it has been used, null before.
c10::DeviceAllocator* usedAllocator() {
  std::optional<at::DeviceType> type = at::accelerator::getAccelerator(false);
  if (!type) return nullptr;
  auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(*type));
  return allocator != nullptr && allocator->initialized() ? allocator : nullptr;
}

// acceleratorType(): "cuda", "mps", ..., or null.
napi_value acceleratorType(Environment& environment, const Arguments&) {
  std::optional<at::DeviceType> type = at::accelerator::getAccelerator(false);
  if (!type) return wrapTensor(environment, at::Tensor());
  return toJs(environment, c10::DeviceTypeName(*type, true));
}

napi_value currentDeviceIndex(Environment& environment, const Arguments&) {
  return toJs(environment, static_cast<int64_t>(toIndex(environment, nullptr)));
}

napi_value setDeviceIndex(Environment& environment, const Arguments& arguments) {
  at::accelerator::setDeviceIndex(toIndex(environment, arguments[0]));
  return nullptr;
}

void setStat(Environment& environment, napi_value object, const std::string& name, const Stat& stat) {
  setProperty(environment, object, (name + ".current").c_str(), toJs(environment, stat.current));
  setProperty(environment, object, (name + ".peak").c_str(), toJs(environment, stat.peak));
  setProperty(environment, object, (name + ".allocated").c_str(), toJs(environment, stat.allocated));
  setProperty(environment, object, (name + ".freed").c_str(), toJs(environment, stat.freed));
}

void setStats(Environment& environment, napi_value object, const std::string& name, const StatArray& stats) {
  static constexpr const char* pools[] = {"all", "small_pool", "large_pool"};
  for (size_t i = 0; i < stats.size(); ++i) setStat(environment, object, name + "." + pools[i], stats[i]);
}

// deviceMemoryStats(index | null): PyTorch's statistics by its names; empty before the first allocation.
napi_value deviceMemoryStats(Environment& environment, const Arguments& arguments) {
  napi_value result = nullptr;
  check(environment, napi_create_object(environment.env, &result));
  c10::DeviceAllocator* allocator = usedAllocator();
  if (allocator == nullptr) return result;
  const c10::CachingDeviceAllocator::DeviceStats stats = allocator->getDeviceStats(toIndex(environment, arguments[0]));
  setStats(environment, result, "active", stats.active);
  setStats(environment, result, "active_bytes", stats.active_bytes);
  setStats(environment, result, "allocated_bytes", stats.allocated_bytes);
  setStats(environment, result, "allocation", stats.allocation);
  setStats(environment, result, "inactive_split", stats.inactive_split);
  setStats(environment, result, "inactive_split_bytes", stats.inactive_split_bytes);
  setProperty(environment, result, "max_split_size", toJs(environment, stats.max_split_size));
  setProperty(environment, result, "num_alloc_retries", toJs(environment, stats.num_alloc_retries));
  setProperty(environment, result, "num_device_alloc", toJs(environment, stats.num_device_alloc));
  setProperty(environment, result, "num_device_free", toJs(environment, stats.num_device_free));
  setProperty(environment, result, "num_ooms", toJs(environment, stats.num_ooms));
  setProperty(environment, result, "num_sync_all_streams", toJs(environment, stats.num_sync_all_streams));
  setStat(environment, result, "oversize_allocations", stats.oversize_allocations);
  setStat(environment, result, "oversize_segments", stats.oversize_segments);
  setStats(environment, result, "requested_bytes", stats.requested_bytes);
  setStats(environment, result, "reserved_bytes", stats.reserved_bytes);
  setStats(environment, result, "segment", stats.segment);
  return result;
}

napi_value resetPeakDeviceMemoryStats(Environment& environment, const Arguments& arguments) {
  if (c10::DeviceAllocator* allocator = usedAllocator()) allocator->resetPeakStats(toIndex(environment, arguments[0]));
  return nullptr;
}

napi_value resetAccumulatedDeviceMemoryStats(Environment& environment, const Arguments& arguments) {
  if (c10::DeviceAllocator* allocator = usedAllocator()) allocator->resetAccumulatedStats(toIndex(environment, arguments[0]));
  return nullptr;
}

napi_value emptyDeviceCache(Environment&, const Arguments&) {
  if (c10::DeviceAllocator* allocator = usedAllocator()) allocator->emptyCache();
  return nullptr;
}

// Not all versions of libtorch have it.
template <typename Allocator>
std::pair<size_t, size_t> memoryInfo(Allocator& allocator, c10::DeviceIndex index) {
  if constexpr (requires { allocator.getMemoryInfo(index); }) {
    return allocator.getMemoryInfo(index);
  } else {
    throw std::runtime_error("this version of libtorch does not tell how much memory is free");
  }
}

// deviceMemoryInfo(index | null): the free and all bytes of a device, as [free, total].
napi_value deviceMemoryInfo(Environment& environment, const Arguments& arguments) {
  c10::DeviceIndex index = toIndex(environment, arguments[0]);
  std::pair<size_t, size_t> info = memoryInfo(*c10::getDeviceAllocator(accelerator()), index);
  int64_t bytes[] = {static_cast<int64_t>(info.first), static_cast<int64_t>(info.second)};
  return toJs(environment, at::IntArrayRef(bytes, 2));
}

// The functions of NVIDIA's driver that tell what a device is; they are the same in all its versions.
struct Driver {
  int (*init)(unsigned) = nullptr;
  int (*get)(int*, int) = nullptr;
  int (*name)(char*, int, int) = nullptr;
  int (*memory)(size_t*, int) = nullptr;
  int (*attribute)(int*, int, int) = nullptr;

  Driver() {
    void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    init = reinterpret_cast<decltype(init)>(dlsym(library, "cuInit"));
    get = reinterpret_cast<decltype(get)>(dlsym(library, "cuDeviceGet"));
    name = reinterpret_cast<decltype(name)>(dlsym(library, "cuDeviceGetName"));
    memory = reinterpret_cast<decltype(memory)>(dlsym(library, "cuDeviceTotalMem_v2"));
    attribute = reinterpret_cast<decltype(attribute)>(dlsym(library, "cuDeviceGetAttribute"));
  }
  bool isUsable() const { return init != nullptr && get != nullptr && name != nullptr && memory != nullptr && attribute != nullptr; }
};

constexpr int kMultiprocessorCount = 16;
constexpr int kMajor = 75;
constexpr int kMinor = 76;

// cudaDeviceProperties(index | null): { name, totalMemory, multiProcessorCount, major, minor }
napi_value cudaDeviceProperties(Environment& environment, const Arguments& arguments) {
  c10::DeviceIndex index = toIndex(environment, arguments[0]);
  static const Driver driver;
  char name[256] = {};
  size_t memory = 0;
  int device = 0;
  int processors = 0;
  int major = 0;
  int minor = 0;
  bool read = driver.isUsable() && driver.init(0) == 0 && driver.get(&device, index) == 0 &&
              driver.name(name, sizeof(name), device) == 0 && driver.memory(&memory, device) == 0 &&
              driver.attribute(&processors, kMultiprocessorCount, device) == 0 &&
              driver.attribute(&major, kMajor, device) == 0 && driver.attribute(&minor, kMinor, device) == 0;
  if (!read) throw std::runtime_error("the NVIDIA driver does not tell the properties of device " + std::to_string(index));
  napi_value result = nullptr;
  check(environment, napi_create_object(environment.env, &result));
  setProperty(environment, result, "name", toJs(environment, std::string(name)));
  setProperty(environment, result, "totalMemory", toJs(environment, static_cast<int64_t>(memory)));
  setProperty(environment, result, "multiProcessorCount", toJs(environment, static_cast<int64_t>(processors)));
  setProperty(environment, result, "major", toJs(environment, static_cast<int64_t>(major)));
  setProperty(environment, result, "minor", toJs(environment, static_cast<int64_t>(minor)));
  return result;
}

}  // namespace

std::vector<Export> acceleratorExports() {
  return {{"acceleratorType", guarded<acceleratorType>},
          {"currentDeviceIndex", guarded<currentDeviceIndex>},
          {"setDeviceIndex", guarded<setDeviceIndex>},
          {"deviceMemoryStats", guarded<deviceMemoryStats>},
          {"resetPeakDeviceMemoryStats", guarded<resetPeakDeviceMemoryStats>},
          {"resetAccumulatedDeviceMemoryStats", guarded<resetAccumulatedDeviceMemoryStats>},
          {"emptyDeviceCache", guarded<emptyDeviceCache>},
          {"deviceMemoryInfo", guarded<deviceMemoryInfo>},
          {"cudaDeviceProperties", guarded<cudaDeviceProperties>}};
}

}  // namespace levin
