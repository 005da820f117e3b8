// Random number generators.
//
// libtorch has one default generator for the CPU in a process. Here, each thread but the first has one of its own, as if it were a process:
// what a thread draws depends on its own seed alone, and takes nothing from the others' sequences. To that end a dispatch key that only
// such threads turn on sees every operator with a generator among its arguments, and fills in the thread's where none is given.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include "convert.h"

namespace levin {

namespace {

constexpr c10::DispatchKey kOwnGenerator = c10::DispatchKey::TESTING_ONLY_GenericMode;
thread_local at::Generator ownGenerator;

// The name of an operator's generator argument says nothing about its place.
bool takesGenerator(const c10::Argument& argument) {
  const auto* optional = argument.type()->castRaw<c10::OptionalType>();
  return optional != nullptr && optional->getElementType()->kind() == c10::TypeKind::GeneratorType;
}

void fillInGenerator(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  // Makers of tensors have no device yet; what they call to fill the new tensor comes here, too.
  if (ownGenerator.defined() && keys.has_backend(c10::BackendComponent::CPUBit)) {
    const auto& arguments = op.schema().arguments();
    size_t first = stack->size() - arguments.size();
    for (size_t i = 0; i < arguments.size(); ++i) {
      c10::IValue& value = (*stack)[first + i];
      if (value.isNone() && takesGenerator(arguments[i])) value = ownGenerator;
    }
  }
  op.redispatchBoxed(keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, kOwnGenerator), stack);
}

// Tells the dispatcher, once per process.
void registerOwnGenerator() {
  static torch::Library others(torch::Library::IMPL, "_", kOwnGenerator, __FILE__, __LINE__);
  static torch::Library drawing(torch::Library::IMPL, "aten", kOwnGenerator, __FILE__, __LINE__);
  others.fallback(torch::CppFunction::makeFallthrough());
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    if (name.getNamespace() != "aten") continue;
    std::optional<c10::OperatorHandle> op = c10::Dispatcher::singleton().findSchema(name);
    if (!op) continue;
    const auto& arguments = op->schema().arguments();
    if (std::none_of(arguments.begin(), arguments.end(), takesGenerator)) continue;
    std::string full = name.overload_name.empty() ? name.name : name.name + "." + name.overload_name;
    drawing.impl(full.c_str(), torch::CppFunction::makeFromBoxedFunction<&fillInGenerator>());
  }
}

}  // namespace

void startRandom(Environment& environment) {
  static std::once_flag once;
  std::call_once(once, registerOwnGenerator);
  if (environment.id == 1) return;
  ownGenerator = at::make_generator<at::CPUGeneratorImpl>(c10::detail::getNonDeterministicRandom());
  c10::impl::tls_set_dispatch_key_included(kOwnGenerator, true);
}

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
  if (device.is_cpu() && ownGenerator.defined()) return wrapGenerator(environment, ownGenerator);
  return wrapGenerator(environment, at::globalContext().defaultGenerator(device));
}

void seedGenerator(at::Generator generator, uint64_t seed) {
  std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_current_seed(seed);
}

napi_value generatorSeed(Environment& environment, const Arguments& arguments) {
  seedGenerator(self(environment, arguments), toSeed(environment, arguments[1]));
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

// manualSeed(seed): of the default generators of all devices; on the CPU of this thread's.
napi_value manualSeed(Environment& environment, const Arguments& arguments) {
  uint64_t seed = toSeed(environment, arguments[0]);
  if (!ownGenerator.defined()) {
    at::manual_seed(seed);
    return nullptr;
  }
  seedGenerator(ownGenerator, seed);
  if (std::optional<at::DeviceType> type = at::getAccelerator()) {
    c10::DeviceIndex count = c10::impl::getDeviceGuardImpl(*type)->deviceCount();
    for (c10::DeviceIndex i = 0; i < count; ++i) seedGenerator(at::globalContext().defaultGenerator({*type, i}), seed);
  }
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
