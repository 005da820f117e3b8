// Settings of libtorch that hold for the whole process or thread.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/autocast_mode.h>
#include <c10/core/AutogradState.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/anomaly_mode.h>

#include "convert.h"

namespace levin {

namespace {

napi_value setFloat32MatmulPrecision(Environment& environment, const Arguments& arguments) {
  std::string precision = toString(environment, arguments[0], "setFloat32MatmulPrecision: precision");
  if (precision != "highest" && precision != "high" && precision != "medium") {
    throw ArgumentError("setFloat32MatmulPrecision: precision must be \"highest\", \"high\" or \"medium\", got \"" + precision + "\"");
  }
  at::globalContext().setFloat32MatmulPrecision(precision);
  return nullptr;
}

napi_value getFloat32MatmulPrecision(Environment& environment, const Arguments&) {
  switch (at::globalContext().float32MatmulPrecision()) {
    case at::Float32MatmulPrecision::HIGHEST: return toJs(environment, std::string("highest"));
    case at::Float32MatmulPrecision::HIGH: return toJs(environment, std::string("high"));
    default: return toJs(environment, std::string("medium"));
  }
}

// setFlushDenormal(enabled): false where the processor cannot do it.
napi_value setFlushDenormal(Environment& environment, const Arguments& arguments) {
  return toJs(environment, at::globalContext().setFlushDenormal(toBool(environment, arguments[0], "setFlushDenormal: enabled")));
}

napi_value setNumInteropThreads(Environment& environment, const Arguments& arguments) {
  int64_t count = toInt(environment, arguments[0], "setNumInteropThreads: the number of threads");
  if (count < 1 || count > 4096) {
    throw ArgumentError("setNumInteropThreads: the number of threads must be between 1 and 4096, got " + std::to_string(count));
  }
  at::set_num_interop_threads(static_cast<int>(count));
  return nullptr;
}

napi_value getNumInteropThreads(Environment& environment, const Arguments&) {
  return toJs(environment, static_cast<int64_t>(at::get_num_interop_threads()));
}

napi_value initNumThreads(Environment&, const Arguments&) {
  at::init_num_threads();
  return nullptr;
}

napi_value setWarnAlways(Environment& environment, const Arguments& arguments) {
  c10::WarningUtils::set_warnAlways(toBool(environment, arguments[0], "setWarnAlways: enabled"));
  return nullptr;
}

napi_value isWarnAlways(Environment& environment, const Arguments&) {
  return toJs(environment, c10::WarningUtils::get_warnAlways());
}

napi_value isDeterministicWarnOnly(Environment& environment, const Arguments&) {
  return toJs(environment, at::globalContext().deterministicAlgorithmsWarnOnly());
}

napi_value isAnomalyCheckNan(Environment& environment, const Arguments&) {
  return toJs(environment, torch::autograd::AnomalyMode::should_check_nan());
}

napi_value clearAutocastCache(Environment&, const Arguments&) {
  at::autocast::clear_cache();
  return nullptr;
}

napi_value setMultithreading(Environment& environment, const Arguments& arguments) {
  c10::AutogradState::get_tls_state().set_multithreading_enabled(
      toBool(environment, arguments[0], "setMultithreadingEnabled: enabled"));
  return nullptr;
}

napi_value isMultithreading(Environment& environment, const Arguments&) {
  return toJs(environment, c10::AutogradState::get_tls_state().get_multithreading_enabled());
}

// cudnnSetting(name, value | null): sets a switch of cuDNN where a value is given. Gives what it is.
napi_value cudnnSetting(Environment& environment, const Arguments& arguments) {
  std::string name = toString(environment, arguments[0], "backends.cudnn: name");
  std::optional<bool> value;
  if (!isNullish(environment, arguments[1])) value = toBool(environment, arguments[1], ("backends.cudnn." + name).c_str());
  at::Context& context = at::globalContext();
  if (name == "enabled") {
    if (value) context.setUserEnabledCuDNN(*value);
    return toJs(environment, context.userEnabledCuDNN());
  }
  if (name == "benchmark") {
    if (value) context.setBenchmarkCuDNN(*value);
    return toJs(environment, context.benchmarkCuDNN());
  }
  if (name == "deterministic") {
    if (value) context.setDeterministicCuDNN(*value);
    return toJs(environment, context.deterministicCuDNN());
  }
  throw ArgumentError("backends.cudnn has no setting \"" + name + "\"");
}

}  // namespace

std::vector<Export> settingsExports() {
  return {{"setFloat32MatmulPrecision", guarded<setFloat32MatmulPrecision>},
          {"getFloat32MatmulPrecision", guarded<getFloat32MatmulPrecision>},
          {"setFlushDenormal", guarded<setFlushDenormal>},
          {"setNumInteropThreads", guarded<setNumInteropThreads>},
          {"getNumInteropThreads", guarded<getNumInteropThreads>},
          {"initNumThreads", guarded<initNumThreads>},
          {"setWarnAlways", guarded<setWarnAlways>},
          {"isWarnAlways", guarded<isWarnAlways>},
          {"isDeterministicWarnOnly", guarded<isDeterministicWarnOnly>},
          {"isAnomalyCheckNan", guarded<isAnomalyCheckNan>},
          {"clearAutocastCache", guarded<clearAutocastCache>},
          {"setMultithreading", guarded<setMultithreading>},
          {"isMultithreading", guarded<isMultithreading>},
          {"cudnnSetting", guarded<cudnnSetting>}};
}

}  // namespace levin
