// Backward passes, hooks, autograd functions written in JavaScript, and the modes that change what is recorded.
#include <ATen/autocast_mode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <map>

#include "convert.h"

namespace levin {

namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;
using NodePointer = decltype(torch::autograd::Edge::function);

const at::Tensor& self(Environment& environment, const Arguments& arguments) {
  return unwrapTensor(environment, arguments[0], "the receiver");
}

// On accelerators the engine calls hooks from threads of its own: there, the JavaScript thread has to serve them.
bool alwaysHelper = false;
bool needsHelper(const std::vector<at::Tensor>& roots) {
  if (alwaysHelper) return true;
  return std::any_of(roots.begin(), roots.end(), [](const at::Tensor& root) { return !root.device().is_cpu(); });
}

variable_list gradientsOf(Environment& environment, napi_value value, const char* what) {
  variable_list list;
  if (isNullish(environment, value)) return list;
  uint32_t length = arrayLength(environment, value, what);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, value, i, &element));
    list.push_back(unwrapOptionalTensor(environment, element, what));
  }
  return list;
}

std::optional<bool> optionalBool(Environment& environment, napi_value value, const char* what) {
  if (isNullish(environment, value)) return std::nullopt;
  return toBool(environment, value, what);
}

// backward(tensors, gradients | null, retainGraph | null, createGraph, inputs | null)
napi_value backward(Environment& environment, const Arguments& arguments) {
  collectUnderPressure(environment);
  variable_list tensors = unwrapTensors(environment, arguments[0], "backward: tensors");
  variable_list gradients = gradientsOf(environment, arguments[1], "backward: gradient");
  std::optional<bool> retain = optionalBool(environment, arguments[2], "backward: retainGraph");
  bool create = toBool(environment, arguments[3], "backward: createGraph");
  variable_list inputs;
  if (!isNullish(environment, arguments[4])) inputs = unwrapTensors(environment, arguments[4], "backward: inputs");
  whileServing(environment, needsHelper(tensors),
               [&] { torch::autograd::backward(tensors, gradients, retain, create, inputs); });
  environment.deleteDropped();
  return nullptr;
}

// gradients(outputs, inputs, gradOutputs | null, retainGraph | null, createGraph, allowUnused): (handle | null)[]
napi_value gradients(Environment& environment, const Arguments& arguments) {
  collectUnderPressure(environment);
  variable_list outputs = unwrapTensors(environment, arguments[0], "grad: outputs");
  variable_list inputs = unwrapTensors(environment, arguments[1], "grad: inputs");
  variable_list gradOutputs = gradientsOf(environment, arguments[2], "grad: gradOutputs");
  std::optional<bool> retain = optionalBool(environment, arguments[3], "grad: retainGraph");
  bool create = toBool(environment, arguments[4], "grad: createGraph");
  bool unused = toBool(environment, arguments[5], "grad: allowUnused");
  variable_list result;
  whileServing(environment, needsHelper(outputs), [&] {
    result = torch::autograd::grad(outputs, inputs, gradOutputs, retain, create, unused);
  });
  environment.deleteDropped();
  return toJs(environment, result);
}

napi_value requiresGrad(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).requires_grad());
}

napi_value setRequiresGrad(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  bool wanted = toBool(environment, arguments[1], "requiresGrad");
  if (!wanted && !tensor.is_leaf()) {
    throw ArgumentError("requiresGrad can only be changed for leaf tensors; use detach() for a tensor outside the graph");
  }
  if (wanted && !torch::autograd::isDifferentiableType(tensor.scalar_type())) {
    throw ArgumentError(std::string("only tensors of floating point and complex type can require gradients, got ") +
                        dtypeName(tensor.scalar_type()));
  }
  tensor.requires_grad_(wanted);
  return nullptr;
}

napi_value isLeaf(Environment& environment, const Arguments& arguments) {
  return toJs(environment, self(environment, arguments).is_leaf());
}

napi_value gradFunctionName(Environment& environment, const Arguments& arguments) {
  const auto& function = self(environment, arguments).grad_fn();
  if (!function) return wrapTensor(environment, at::Tensor());
  return toJs(environment, function->name());
}

napi_value version(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  return toJs(environment, tensor.is_inference() ? int64_t{0} : static_cast<int64_t>(tensor._version()));
}

napi_value grad(Environment& environment, const Arguments& arguments) {
  return wrapTensor(environment, self(environment, arguments).grad());
}

napi_value setGrad(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  at::Tensor gradient = unwrapOptionalTensor(environment, arguments[1], "grad");
  if (gradient.defined()) {
    if (gradient.is_same(tensor)) throw ArgumentError("grad: a tensor cannot be its own gradient");
    if (!gradient.sizes().equals(tensor.sizes()) || gradient.device() != tensor.device() ||
        gradient.scalar_type() != tensor.scalar_type()) {
      throw ArgumentError("grad must have the tensor's shape, type and device: the tensor is " +
                          describe(environment, arguments[0]) + " on " + tensor.device().str() + ", got " +
                          describe(environment, arguments[1]) + " on " + gradient.device().str());
    }
  }
  tensor.mutable_grad() = gradient;
  return nullptr;
}

// grads(handles): the gradients of many tensors in one call.
napi_value grads(Environment& environment, const Arguments& arguments) {
  variable_list tensors = unwrapTensors(environment, arguments[0], "grads: tensors");
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, tensors.size(), &array));
  for (size_t i = 0; i < tensors.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, wrapTensor(environment, tensors[i].grad())));
  }
  return array;
}

// zeroGrad(handles, setToNone)
napi_value zeroGrad(Environment& environment, const Arguments& arguments) {
  bool setToNone = toBool(environment, arguments[1], "zeroGrad: setToNone");
  for (const at::Tensor& tensor : unwrapTensors(environment, arguments[0], "zeroGrad: tensors")) {
    at::Tensor& gradient = tensor.mutable_grad();
    if (!gradient.defined()) continue;
    if (setToNone) {
      gradient.reset();
    } else {
      if (gradient.grad_fn()) {
        gradient.detach_();
      } else {
        gradient.requires_grad_(false);
      }
      gradient.zero_();
    }
  }
  return nullptr;
}

// data(handle): the same memory without history.
napi_value data(Environment& environment, const Arguments& arguments) {
  return wrapTensor(environment, self(environment, arguments).variable_data());
}

napi_value setData(Environment& environment, const Arguments& arguments) {
  self(environment, arguments).set_data(unwrapTensor(environment, arguments[1], "data"));
  return nullptr;
}

// ---------------------------------------------------------------- hooks

napi_value applyHook(Environment& environment, const JsReference& hook, const at::Tensor& gradient) {
  return callFunction(environment, hook.value(), {wrapTensor(environment, gradient)});
}

// addHook(handle, function): the number by which removeHook() knows it.
napi_value addHook(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (!tensor.requires_grad()) {
    throw ArgumentError("registerHook: the tensor does not require gradients, so no gradient will be computed for it");
  }
  auto hook = std::make_shared<JsReference>(environment, arguments[1]);
  unsigned position = tensor.register_hook([hook](const at::Tensor& gradient) -> at::Tensor {
    at::Tensor result;
    Environment& owner = hook->environment();
    onJsThread(owner, [&] {
      napi_value value = applyHook(owner, *hook, gradient);
      result = unwrapOptionalTensor(owner, value, "the result of a gradient hook");
    });
    return result;
  });
  return toJs(environment, static_cast<int64_t>(position));
}

napi_value removeHook(Environment& environment, const Arguments& arguments) {
  self(environment, arguments).remove_hook(static_cast<unsigned>(toInt(environment, arguments[1], "the hook")));
  return nullptr;
}

struct AccumulateHooks : torch::autograd::PostAccumulateGradHook {
  void operator()(const at::Tensor& tensor) override {
    auto current = hooks;  // a hook may remove itself
    for (const auto& [id, hook] : current) {
      Environment& owner = hook->environment();
      onJsThread(owner, [&, reference = hook] { applyHook(owner, *reference, tensor); });
    }
  }
  std::map<int64_t, std::shared_ptr<JsReference>> hooks;
  int64_t next = 0;
};

napi_value addAccumulateHook(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (!tensor.requires_grad() || !tensor.is_leaf()) {
    throw ArgumentError("registerPostAccumulateGradHook: only leaf tensors that require gradients accumulate them");
  }
  auto& slot = torch::autograd::impl::post_acc_grad_hooks(tensor);
  auto* hooks = dynamic_cast<AccumulateHooks*>(slot.get());
  if (hooks == nullptr) {
    torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::make_unique<AccumulateHooks>());
    hooks = static_cast<AccumulateHooks*>(torch::autograd::impl::post_acc_grad_hooks(tensor).get());
  }
  int64_t id = hooks->next++;
  hooks->hooks.emplace(id, std::make_shared<JsReference>(environment, arguments[1]));
  return toJs(environment, id);
}

napi_value removeAccumulateHook(Environment& environment, const Arguments& arguments) {
  auto& slot = torch::autograd::impl::post_acc_grad_hooks(self(environment, arguments));
  auto* hooks = dynamic_cast<AccumulateHooks*>(slot.get());
  if (hooks != nullptr) hooks->hooks.erase(toInt(environment, arguments[1], "the hook"));
  return nullptr;
}

// ---------------------------------------------------------------- autograd functions in JavaScript

// A node of the graph whose backward is a JavaScript function (gradients, savedTensors) => (handle | null)[].
struct FunctionNode : Node {
  std::shared_ptr<JsReference> function;
  std::string label;
  std::vector<torch::autograd::SavedVariable> saved;
  std::vector<torch::autograd::VariableInfo> outputs;
  bool materialize = true;
  bool released = false;

  std::string name() const override { return label; }

  void release_variables() override {
    saved.clear();
    released = true;
  }

  NodePointer shared() {
    if constexpr (std::is_same_v<NodePointer, std::shared_ptr<Node>>) {
      return sharedFromThis();
    } else {
      return NodePointer::reclaim_copy(this);
    }
  }

  template <typename Self = FunctionNode>
  NodePointer sharedFromThis() {
    return static_cast<Self*>(this)->shared_from_this();
  }

  variable_list apply(variable_list&& gradients) override {
    if (released) {
      throw ArgumentError(label +
                          ": trying to go backward through the graph a second time, after its saved tensors were freed; "
                          "give retainGraph: true to the first backward()");
    }
    if (materialize) {
      at::OptionalDeviceGuard guard;
      for (size_t i = 0; i < gradients.size(); ++i) {
        if (!gradients[i].defined()) gradients[i] = outputs[i].zeros(guard);
      }
    }
    variable_list tensors;
    for (const auto& variable : saved) tensors.push_back(variable.unpack(shared()));
    variable_list result;
    Environment& owner = function->environment();
    onJsThread(owner, [&] {
      napi_value value = callFunction(owner, function->value(), {toJs(owner, gradients), toJs(owner, tensors)});
      uint32_t length = arrayLength(owner, value, "the result of backward");
      if (length != num_outputs()) {
        throw ArgumentError(label + ": backward must return one gradient for each of the " + std::to_string(num_outputs()) +
                            " tensors given to forward, got " + std::to_string(length));
      }
      result = gradientsOf(owner, value, "a gradient returned by backward");
    });
    return result;
  }
};

template <typename T>
auto makeNode() {
  if constexpr (std::is_same_v<NodePointer, std::shared_ptr<Node>>) {
    return std::make_shared<T>();
  } else {
    return c10::make_intrusive<T>();
  }
}

bool contains(const std::vector<at::Tensor>& tensors, const at::Tensor& tensor) {
  return std::any_of(tensors.begin(), tensors.end(), [&](const at::Tensor& other) { return other.is_same(tensor); });
}

// attachFunction(name, inputs, outputs, backward, saved, nonDifferentiable, dirty, materialize): handles of the outputs,
// now results of a function whose gradients the JavaScript function computes.
napi_value attachFunction(Environment& environment, const Arguments& arguments) {
  std::string name = toString(environment, arguments[0], "Function: name");
  variable_list inputs = unwrapTensors(environment, arguments[1], "Function: inputs");
  variable_list outputs = unwrapTensors(environment, arguments[2], "Function: outputs");
  variable_list saved = gradientsOf(environment, arguments[4], "saveForBackward: tensors");
  variable_list constant = unwrapTensors(environment, arguments[5], "markNonDifferentiable: tensors");
  variable_list dirty = unwrapTensors(environment, arguments[6], "markDirty: tensors");
  bool materialize = toBool(environment, arguments[7], "setMaterializeGrads: value");
  if (!(at::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad(inputs))) return toJs(environment, outputs);

  auto node = makeNode<FunctionNode>();
  node->label = name + "Backward";
  node->function = std::make_shared<JsReference>(environment, arguments[3]);
  node->materialize = materialize;
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  variable_list results;
  for (const at::Tensor& output : outputs) {
    at::Tensor result = output;
    bool differentiable = torch::autograd::isDifferentiableType(output.scalar_type()) && !contains(constant, output);
    if (contains(dirty, output)) {
      if (output.is_leaf() && output.requires_grad()) {
        throw ArgumentError(name + ": a leaf tensor that requires gradients was changed in place");
      }
      node->outputs.emplace_back(result);
      torch::autograd::impl::rebase_history(result, {node, node->add_input_metadata(result)});
    } else {
      // An input that is passed through becomes a tensor of its own.
      if (contains(inputs, output)) result = output.detach();
      node->outputs.emplace_back(result);
      if (differentiable) {
        torch::autograd::set_history(result, node);
      } else {
        node->add_input_metadata(Node::undefined_input());
      }
    }
    results.push_back(result);
  }
  for (const at::Tensor& tensor : saved) {
    auto position = std::find_if(outputs.begin(), outputs.end(), [&](const at::Tensor& o) { return o.is_same(tensor); });
    bool isOutput = position != outputs.end() && !contains(inputs, tensor);
    node->saved.emplace_back(tensor, isOutput);
  }
  return toJs(environment, results);
}

// ---------------------------------------------------------------- modes

napi_value setGradEnabled(Environment& environment, const Arguments& arguments) {
  at::GradMode::set_enabled(toBool(environment, arguments[0], "setGradEnabled: enabled"));
  return nullptr;
}

napi_value isGradEnabled(Environment& environment, const Arguments&) {
  return toJs(environment, at::GradMode::is_enabled());
}

thread_local std::vector<std::unique_ptr<c10::InferenceMode>> inferenceModes;

// enterInferenceMode(enabled): the depth to give to leaveInferenceMode().
napi_value enterInferenceMode(Environment& environment, const Arguments& arguments) {
  inferenceModes.push_back(std::make_unique<c10::InferenceMode>(toBool(environment, arguments[0], "inferenceMode: enabled")));
  return toJs(environment, static_cast<int64_t>(inferenceModes.size()));
}

napi_value leaveInferenceMode(Environment& environment, const Arguments& arguments) {
  int64_t depth = toInt(environment, arguments[0], "the depth");
  if (depth != static_cast<int64_t>(inferenceModes.size()) || depth < 1) {
    throw ArgumentError("inference modes must be left in the reverse order of entering them");
  }
  inferenceModes.pop_back();
  return nullptr;
}

napi_value isInferenceMode(Environment& environment, const Arguments&) {
  return toJs(environment, c10::InferenceMode::is_enabled());
}

napi_value setDetectAnomaly(Environment& environment, const Arguments& arguments) {
  torch::autograd::AnomalyMode::set_enabled(toBool(environment, arguments[0], "setDetectAnomaly: enabled"),
                                            toBool(environment, arguments[1], "setDetectAnomaly: checkNan"));
  return nullptr;
}

napi_value isDetectAnomaly(Environment& environment, const Arguments&) {
  return toJs(environment, torch::autograd::AnomalyMode::is_enabled());
}

// autocastState(device): [enabled, dtype, cacheEnabled]
napi_value autocastState(Environment& environment, const Arguments& arguments) {
  at::DeviceType type = toDevice(environment, arguments[0], "autocast: device").type();
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, 3, &array));
  check(environment, napi_set_element(environment.env, array, 0, toJs(environment, at::autocast::is_autocast_enabled(type))));
  check(environment, napi_set_element(environment.env, array, 1,
                                      toJs(environment, std::string(dtypeName(at::autocast::get_autocast_dtype(type))))));
  check(environment, napi_set_element(environment.env, array, 2, toJs(environment, at::autocast::is_autocast_cache_enabled())));
  return array;
}

// setAutocast(device, enabled, dtype, cacheEnabled, nesting): nesting +1 on entering, -1 on leaving (the outermost clears the cache).
napi_value setAutocast(Environment& environment, const Arguments& arguments) {
  at::DeviceType type = toDevice(environment, arguments[0], "autocast: device").type();
  bool enabled = toBool(environment, arguments[1], "autocast: enabled");
  at::ScalarType dtype = toDType(environment, arguments[2], "autocast: dtype");
  bool cache = toBool(environment, arguments[3], "autocast: cacheEnabled");
  int64_t nesting = toInt(environment, arguments[4], "autocast: nesting");
  if (enabled && dtype != at::kBFloat16 && dtype != at::kHalf) {
    throw ArgumentError(std::string("autocast: dtype must be \"bfloat16\" or \"float16\", got \"") + dtypeName(dtype) + "\"");
  }
  at::autocast::set_autocast_enabled(type, enabled);
  at::autocast::set_autocast_dtype(type, dtype);
  at::autocast::set_autocast_cache_enabled(cache);
  if (nesting > 0) at::autocast::increment_nesting();
  if (nesting < 0 && at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  return nullptr;
}

// serveHooksFromHelperThread(always): runs every backward pass as one on an accelerator is run, so that this way can be tested.
napi_value serveHooksFromHelperThread(Environment& environment, const Arguments& arguments) {
  alwaysHelper = toBool(environment, arguments[0], "serveHooksFromHelperThread: always");
  return nullptr;
}

}  // namespace

std::vector<Export> autogradExports() {
  return {{"backward", guarded<backward>},
          {"gradients", guarded<gradients>},
          {"requiresGrad", guarded<requiresGrad>},
          {"setRequiresGrad", guarded<setRequiresGrad>},
          {"isLeaf", guarded<isLeaf>},
          {"gradFunctionName", guarded<gradFunctionName>},
          {"version", guarded<version>},
          {"grad", guarded<grad>},
          {"setGrad", guarded<setGrad>},
          {"grads", guarded<grads>},
          {"zeroGrad", guarded<zeroGrad>},
          {"data", guarded<data>},
          {"setData", guarded<setData>},
          {"addHook", guarded<addHook>},
          {"removeHook", guarded<removeHook>},
          {"addAccumulateHook", guarded<addAccumulateHook>},
          {"removeAccumulateHook", guarded<removeAccumulateHook>},
          {"attachFunction", guarded<attachFunction>},
          {"setGradEnabled", guarded<setGradEnabled>},
          {"isGradEnabled", guarded<isGradEnabled>},
          {"enterInferenceMode", guarded<enterInferenceMode>},
          {"leaveInferenceMode", guarded<leaveInferenceMode>},
          {"isInferenceMode", guarded<isInferenceMode>},
          {"setDetectAnomaly", guarded<setDetectAnomaly>},
          {"isDetectAnomaly", guarded<isDetectAnomaly>},
          {"autocastState", guarded<autocastState>},
          {"setAutocast", guarded<setAutocast>},
          {"serveHooksFromHelperThread", guarded<serveHooksFromHelperThread>}};
}

}  // namespace levin
