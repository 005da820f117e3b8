// Random number generators.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include "convert.h"

namespace levin {

namespace {

at::Generator self(Environment& environment, const Arguments& arguments) {
  return unwrapGenerator(environment, arguments[0], "the receiver");
}

uint64_t toSeed(Environment& environment, napi_value value) {
  // As PyTorch does, a negative seed stands for the unsigned number of the same bits.
  napi_valuetype type = napi_undefined;
  if (value != nullptr) check(environment, napi_typeof(environment.env, value, &type));
  if (type == napi_bigint) {
    uint64_t number = 0;
    bool lossless = false;
    check(environment, napi_get_value_bigint_uint64(environment.env, value, &number, &lossless));
    if (lossless) return number;
    int64_t negative = 0;
    check(environment, napi_get_value_bigint_int64(environment.env, value, &negative, &lossless));
    if (lossless) return static_cast<uint64_t>(negative);
    throw ArgumentError("manualSeed: the seed must fit into 64 bits");
  }
  return static_cast<uint64_t>(toInt(environment, value, "manualSeed: seed"));
}

napi_value makeGenerator(Environment& environment, const Arguments& arguments) {
  at::Device device = toDevice(environment, arguments[0], "Generator: device");
  if (device.is_cpu()) return wrapGenerator(environment, at::make_generator<at::CPUGeneratorImpl>());
  return wrapGenerator(environment, at::globalContext().getAcceleratorHooksInterface(device.type()).getNewGenerator(device.index()));
}

napi_value defaultGenerator(Environment& environment, const Arguments& arguments) {
  at::Device device = toDevice(environment, arguments[0], "defaultGenerator: device");
  return wrapGenerator(environment, at::globalContext().defaultGenerator(device));
}

napi_value generatorSeed(Environment& environment, const Arguments& arguments) {
  at::Generator generator = self(environment, arguments);
  uint64_t seed = toSeed(environment, arguments[1]);
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed);
  return nullptr;
}

napi_value toBigint(Environment& environment, uint64_t value) {
  napi_value result = nullptr;
  check(environment, napi_create_bigint_uint64(environment.env, value, &result));
  return result;
}

napi_value generatorInitialSeed(Environment& environment, const Arguments& arguments) {
  return toBigint(environment, self(environment, arguments).current_seed());
}

napi_value generatorRandomSeed(Environment& environment, const Arguments& arguments) {
  at::Generator generator = self(environment, arguments);
  std::lock_guard<std::mutex> lock(generator.mutex());
  return toBigint(environment, generator.seed());
}

napi_value generatorState(Environment& environment, const Arguments& arguments) {
  at::Generator generator = self(environment, arguments);
  std::lock_guard<std::mutex> lock(generator.mutex());
  return wrapTensor(environment, generator.get_state());
}

napi_value setGeneratorState(Environment& environment, const Arguments& arguments) {
  at::Generator generator = self(environment, arguments);
  const at::Tensor& state = unwrapTensor(environment, arguments[1], "setState: state");
  at::Tensor plain = state.cpu().contiguous().clone();
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(plain);
  return nullptr;
}

napi_value generatorDevice(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).device().str());
}

// manualSeed(seed): of the default generators of all devices.
napi_value manualSeed(Environment& environment, const Arguments& arguments) {
  at::manual_seed(toSeed(environment, arguments[0]));
  return nullptr;
}

}  // namespace

std::vector<Export> randomExports() {
  return {{"makeGenerator", guarded<makeGenerator>},
          {"defaultGenerator", guarded<defaultGenerator>},
          {"generatorSeed", guarded<generatorSeed>},
          {"generatorInitialSeed", guarded<generatorInitialSeed>},
          {"generatorRandomSeed", guarded<generatorRandomSeed>},
          {"generatorState", guarded<generatorState>},
          {"setGeneratorState", guarded<setGeneratorState>},
          {"generatorDevice", guarded<generatorDevice>},
          {"manualSeed", guarded<manualSeed>}};
}

}  // namespace levin
