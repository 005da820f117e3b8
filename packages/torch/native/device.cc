// Threads, devices and what this libtorch was built with.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <c10/core/DefaultDtype.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <dlfcn.h>
#include <torch/version.h>

#include "convert.h"

namespace levin {

namespace {

napi_value setNumThreads(Environment& environment, const Arguments& arguments) {
  int64_t count = toInt(environment, arguments[0], "setNumThreads: the number of threads");
  if (count < 1 || count > 4096) throw ArgumentError("setNumThreads: the number of threads must be between 1 and 4096, got " + std::to_string(count));
  at::set_num_threads(static_cast<int>(count));
  return nullptr;
}

napi_value getNumThreads(Environment& environment, const Arguments&) {
  return toJs(environment, static_cast<int64_t>(at::get_num_threads()));
}

const c10::impl::DeviceGuardImplInterface* guardOf(at::DeviceType type) {
  return c10::impl::hasDeviceGuardImpl(type) ? c10::impl::getDeviceGuardImpl(type) : nullptr;
}

// deviceCount(type): how many devices of a type ("cuda", "mps", ...) can be used.
napi_value deviceCount(Environment& environment, const Arguments& arguments) {
  const auto* guard = guardOf(toDeviceType(environment, arguments[0], "deviceCount: device"));
  return toJs(environment, static_cast<int64_t>(guard == nullptr ? 0 : guard->deviceCount()));
}

// synchronize(device): waits until all work queued on the device is done.
napi_value synchronize(Environment& environment, const Arguments& arguments) {
  at::Device device = toDevice(environment, arguments[0], "synchronize: device");
  if (device.is_cpu() || device.is_meta()) return nullptr;
  const auto* guard = guardOf(device.type());
  guard->synchronizeDevice(device.has_index() ? device.index() : guard->getDevice().index());
  return nullptr;
}

// loadLibrary(path): loads a shared library of libtorch, whose operators register themselves. Returns the error or null.
napi_value loadLibrary(Environment& environment, const Arguments& arguments) {
  std::string path = toString(environment, arguments[0], "loadLibrary: path");
  if (dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr) return wrapTensor(environment, at::Tensor());
  const char* message = dlerror();
  return toJs(environment, std::string(message != nullptr ? message : "unknown error"));
}

napi_value buildInfo(Environment& environment, const Arguments&) {
  napi_value result = nullptr;
  check(environment, napi_create_object(environment.env, &result));
  setProperty(environment, result, "torchVersion", toJs(environment, std::string(TORCH_VERSION)));
  setProperty(environment, result, "config", toJs(environment, at::show_config()));
  setProperty(environment, result, "parallelInfo", toJs(environment, at::get_parallel_info()));
  setProperty(environment, result, "numThreads", toJs(environment, static_cast<int64_t>(at::get_num_threads())));
  setProperty(environment, result, "numInteropThreads", toJs(environment, static_cast<int64_t>(at::get_num_interop_threads())));
  return result;
}

napi_value setDefaultDtype(Environment& environment, const Arguments& arguments) {
  at::ScalarType dtype = toDType(environment, arguments[0], "setDefaultDtype: dtype");
  if (!at::isFloatingType(dtype)) {
    throw ArgumentError(std::string("setDefaultDtype: dtype must be a floating point type, got \"") + dtypeName(dtype) + "\"");
  }
  c10::set_default_dtype(c10::scalarTypeToTypeMeta(dtype));
  return nullptr;
}

napi_value getDefaultDtype(Environment& environment, const Arguments&) {
  return toJs(environment, std::string(dtypeName(c10::typeMetaToScalarType(c10::get_default_dtype()))));
}

// setDeterministic(enabled, warnOnly) and its state as [enabled, warnOnly].
napi_value setDeterministic(Environment& environment, const Arguments& arguments) {
  at::globalContext().setDeterministicAlgorithms(toBool(environment, arguments[0], "useDeterministicAlgorithms: enabled"),
                                                 toBool(environment, arguments[1], "useDeterministicAlgorithms: warnOnly"));
  return nullptr;
}

napi_value isDeterministic(Environment& environment, const Arguments&) {
  return toJs(environment, at::globalContext().deterministicAlgorithms());
}

}  // namespace

std::vector<Export> deviceExports() {
  return {{"setNumThreads", guarded<setNumThreads>},     {"getNumThreads", guarded<getNumThreads>},
          {"deviceCount", guarded<deviceCount>},         {"synchronize", guarded<synchronize>},
          {"loadLibrary", guarded<loadLibrary>},         {"buildInfo", guarded<buildInfo>},
          {"setDefaultDtype", guarded<setDefaultDtype>}, {"getDefaultDtype", guarded<getDefaultDtype>},
          {"setDeterministic", guarded<setDeterministic>}, {"isDeterministic", guarded<isDeterministic>}};
}

}  // namespace levin
