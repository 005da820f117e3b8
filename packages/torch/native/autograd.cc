// Backward passes, hooks, autograd functions written in JavaScript, and the modes that change what is recorded.
#include <ATen/autocast_mode.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/function_hook.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/csrc/autograd/variable.h>

#include <limits>
#include <map>
#include <unordered_set>

#include "convert.h"
#include "exchange.h"

namespace levin {

namespace {

using torch::autograd::Node;
using torch::autograd::variable_list;
using NodePointer = decltype(torch::autograd::Edge::function);

const at::Tensor& self(Environment& environment, const Arguments& arguments) {
  return unwrapTensor(environment, arguments[0], "the receiver");
}

// Where an accelerator is in use, the engine calls hooks from threads of its own: the JavaScript thread has to serve them.
std::atomic<bool> alwaysHelper = false;
bool needsHelper(const std::vector<at::Tensor>& roots) {
  if (alwaysHelper) return true;
  if (std::any_of(roots.begin(), roots.end(), [](const at::Tensor& root) { return !root.device().is_cpu(); })) return true;
  // Behind a root on the CPU there may be parts of the graph on the accelerator.
  static const std::optional<at::DeviceType> accelerator = at::getAccelerator();  // of this libtorch
  return accelerator && at::globalContext().getAcceleratorHooksInterface(*accelerator).hasPrimaryContext(0);
}

void requireFunction(Environment& environment, napi_value value, const char* what) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) check(environment, napi_typeof(environment.env, value, &type));
  if (type != napi_function) throw ArgumentError(std::string(what) + " must be a function, got " + describe(environment, value));
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

// Further than libtorch, which would add up a gradient that is too large.
void checkGradients(const variable_list& roots, const variable_list& gradients, const char* what) {
  if (gradients.empty()) return;
  if (gradients.size() != roots.size()) {
    throw ArgumentError(std::string(what) + ": one gradient for each of the " + std::to_string(roots.size()) +
                        " tensors is required, got " + std::to_string(gradients.size()));
  }
  for (size_t i = 0; i < roots.size(); ++i) {
    const at::Tensor& gradient = gradients[i];
    if (!gradient.defined() || roots[i].is_nested() || gradient.is_nested()) continue;
    if (!gradient.sizes().equals(roots[i].sizes())) {
      throw ArgumentError(std::string(what) + ": gradient " + std::to_string(i) + " must have the shape of its tensor, " +
                          shapeText(roots[i].sizes()) + ", got " + shapeText(gradient.sizes()));
    }
    if (gradient.is_complex() != roots[i].is_complex()) {
      throw ArgumentError(std::string(what) + ": gradient " + std::to_string(i) + " and its tensor must both be complex or both be real");
    }
  }
}

// Whether a tensor is one number on the CPU, dense, and in no transform.
bool isPlainNumber(const at::Tensor& tensor, at::ScalarType dtype) {
  static const c10::DispatchKeySet plain = [] {
    c10::InferenceMode recorded(false);
    return at::empty({}).key_set();
  }();
  return tensor.key_set() == plain && tensor.dim() == 0 && tensor.scalar_type() == dtype;
}

template <typename T>
bool isOne(const at::Tensor& tensor) {
  constexpr at::ScalarType dtype = c10::CppTypeToScalarType<T>::value;
  return tensor.defined() && isPlainNumber(tensor, dtype) && !tensor.requires_grad() && tensor.storage_offset() == 0 &&
         tensor.storage().nbytes() >= sizeof(T) && *tensor.const_data_ptr<T>() == 1;
}

template <typename T>
at::Tensor keptOne() {
  thread_local at::Tensor one;
  if (!isOne<T>(one)) {
    c10::InferenceMode recorded(false);
    one = at::ones({}, c10::CppTypeToScalarType<T>::value);
  }
  return one;
}

// The gradient with which a pass from one number on the CPU begins: made once, as long as it is as it was, for a hook may have changed it.
// Undefined for all other roots.
at::Tensor firstGradient(const at::Tensor& root) {
  if (isPlainNumber(root, at::kFloat)) return keptOne<float>();
  if (isPlainNumber(root, at::kDouble)) return keptOne<double>();
  return {};
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
  checkGradients(tensors, gradients, "backward");
  std::optional<bool> retain = optionalBool(environment, arguments[2], "backward: retainGraph");
  bool create = toBool(environment, arguments[3], "backward: createGraph");
  variable_list inputs;
  if (!isNullish(environment, arguments[4])) inputs = unwrapTensors(environment, arguments[4], "backward: inputs");
  if (gradients.empty() && tensors.size() == 1) {
    if (at::Tensor one = firstGradient(tensors[0]); one.defined()) gradients.push_back(std::move(one));
  }
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
  checkGradients(outputs, gradOutputs, "grad");
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
  return wrapTensor(environment, self(environment, arguments).grad(), Accounting::None);
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

// gradDtype(handle): the type that the tensor's gradient must have, null for any.
napi_value gradDtype(Environment& environment, const Arguments& arguments) {
  std::optional<at::ScalarType> dtype = self(environment, arguments).grad_dtype();
  return dtype ? toJs(environment, std::string(dtypeName(*dtype))) : wrapTensor(environment, at::Tensor());
}

napi_value setGradDtype(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  std::optional<at::ScalarType> dtype;
  if (!isNullish(environment, arguments[1])) dtype = toDType(environment, arguments[1], "gradDtype");
  if (!tensor.is_leaf()) throw ArgumentError("gradDtype can only be set for leaf tensors");
  if (dtype && tensor.grad().defined() && tensor.grad().scalar_type() != *dtype) {
    throw ArgumentError(std::string("gradDtype: the tensor has a gradient of type ") + dtypeName(tensor.grad().scalar_type()) +
                        " already; set grad to null first");
  }
  tensor.set_grad_dtype(dtype);
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

// lendGrads(tensors, handles): has handles that were disposed of stand for the gradients of as many tensors, until they are disposed of again.
// False where a tensor has no gradient, or a handle is in use.
napi_value lendGrads(Environment& environment, const Arguments& arguments) {
  uint32_t length = arrayLength(environment, arguments[0], "lendGrads: tensors");
  if (arrayLength(environment, arguments[1], "lendGrads: handles") != length) throw ArgumentError("lendGrads: as many handles as tensors");
  std::vector<napi_value> handles(length);
  variable_list grads;
  grads.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, arguments[0], i, &element));
    const at::Tensor& grad = unwrapTensor(environment, element, "lendGrads: tensors").grad();
    if (!grad.defined()) return toJs(environment, false);
    grads.push_back(grad);
    check(environment, napi_get_element(environment.env, arguments[1], i, &handles[i]));
  }
  return toJs(environment, refill(environment, handles, grads));
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

// addHook(handle, function): the number by which removeHook() knows it.
napi_value addHook(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (!tensor.requires_grad()) {
    throw ArgumentError("registerHook: the tensor does not require gradients, so no gradient will be computed for it");
  }
  requireFunction(environment, arguments[1], "registerHook: hook");
  auto hook = std::make_shared<JsReference>(environment, arguments[1]);
  unsigned position = tensor.register_hook([hook](const at::Tensor& gradient) -> at::Tensor {
    at::Tensor result;
    Environment& owner = hook->environment();
    onJsThread(owner, [&] {
      napi_value value = callFunction(owner, hook->value(), {wrapTensor(owner, gradient)});
      result = unwrapOptionalTensor(owner, value, "the result of a gradient hook");
    });
    return result;
  });
  return toJs(environment, static_cast<int64_t>(position));
}

napi_value removeHook(Environment& environment, const Arguments& arguments) {
  int64_t position = toInt(environment, arguments[1], "the hook");
  if (position < 0 || position > std::numeric_limits<int>::max()) throw ArgumentError("there is no such hook");
  self(environment, arguments).remove_hook(static_cast<unsigned>(position));
  return nullptr;
}

struct AccumulateHook {
  AccumulateHook(Environment& environment, napi_value function, napi_value owner)
      : function(environment, function), owner(environment, owner, JsReference::Kind::Weak) {}
  JsReference function;
  JsReference owner;  // the object for the tensor on which the hook was registered
};

struct AccumulateHooks : torch::autograd::PostAccumulateGradHook {
  void operator()(const at::Tensor& tensor) override {
    auto current = hooks;  // a hook may remove itself
    for (const auto& entry : current) {
      const AccumulateHook& hook = *entry.second;
      Environment& environment = hook.function.environment();
      onJsThread(environment, [&] {
        napi_value object = hook.owner.value();
        if (object == nullptr) check(environment, napi_get_undefined(environment.env, &object));
        callFunction(environment, hook.function.value(), {wrapTensor(environment, tensor), object});
      });
    }
  }
  std::map<int64_t, std::shared_ptr<AccumulateHook>> hooks;
  int64_t next = 0;
};

// addAccumulateHook(handle, function, owner): the number by which removeAccumulateHook() knows it. The function gets a handle
// and, while it is alive, the owner, which must be an object.
napi_value addAccumulateHook(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = self(environment, arguments);
  if (!tensor.requires_grad() || !tensor.is_leaf()) {
    throw ArgumentError("registerPostAccumulateGradHook: only leaf tensors that require gradients accumulate them");
  }
  requireFunction(environment, arguments[1], "registerPostAccumulateGradHook: hook");
  auto hook = std::make_shared<AccumulateHook>(environment, arguments[1], arguments[2]);
  auto& slot = torch::autograd::impl::post_acc_grad_hooks(tensor);
  auto* hooks = dynamic_cast<AccumulateHooks*>(slot.get());
  if (hooks == nullptr) {
    torch::autograd::impl::set_post_acc_grad_hooks(tensor, std::make_unique<AccumulateHooks>());
    hooks = static_cast<AccumulateHooks*>(torch::autograd::impl::post_acc_grad_hooks(tensor).get());
  }
  int64_t id = hooks->next++;
  hooks->hooks.emplace(id, std::move(hook));
  return toJs(environment, id);
}

napi_value removeAccumulateHook(Environment& environment, const Arguments& arguments) {
  auto& slot = torch::autograd::impl::post_acc_grad_hooks(self(environment, arguments));
  auto* hooks = dynamic_cast<AccumulateHooks*>(slot.get());
  if (hooks != nullptr) hooks->hooks.erase(toInt(environment, arguments[1], "the hook"));
  return nullptr;
}

// ---------------------------------------------------------------- autograd functions in JavaScript

// A node of the graph whose backward is a JavaScript function (gradients, savedTensors | null) => (handle | null)[]; the saved
// tensors are null once an earlier pass has freed them.
struct FunctionNode : Node {
  std::shared_ptr<JsReference> function;
  std::string label;
  std::vector<torch::autograd::SavedVariable> saved;
  std::vector<torch::autograd::VariableInfo> outputs;
  bool materialize = true;
  bool freed = false;

  std::string name() const override { return label; }

  void release_variables() override {
    freed = freed || !saved.empty();
    saved.clear();
  }

  // A template, so that only the branch for this libtorch is compiled.
  template <typename Pointer = NodePointer>
  Pointer shared() {
    if constexpr (std::is_same_v<Pointer, std::shared_ptr<Node>>) {
      return sharedFromThis();
    } else {
      return Pointer::reclaim_copy(this);
    }
  }

  template <typename Self = FunctionNode>
  NodePointer sharedFromThis() {
    return static_cast<Self*>(this)->shared_from_this();
  }

  variable_list apply(variable_list&& gradients) override {
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
      napi_value kept = freed ? wrapTensor(owner, at::Tensor()) : toJs(owner, tensors);
      napi_value value = callFunction(owner, function->value(), {toJs(owner, gradients), kept});
      result = gradientsOf(owner, value, "a gradient returned by backward");
    });
    if (result.size() != num_outputs()) {
      throw ArgumentError(label + ": backward must return one gradient for each of the " + std::to_string(num_outputs()) +
                          " tensors given to forward, got " + std::to_string(result.size()));
    }
    return result;
  }
};

template <typename T>
std::conditional_t<std::is_same_v<NodePointer, std::shared_ptr<Node>>, std::shared_ptr<T>, c10::intrusive_ptr<T>> makeNode() {
  if constexpr (std::is_same_v<NodePointer, std::shared_ptr<Node>>) {
    return std::shared_ptr<T>(new T(), [](T* node) { deleteNode(node); });  // takes long graphs apart without recursion
  } else {
    return c10::make_intrusive<T>();
  }
}

std::unordered_set<at::TensorImpl*> implementations(const variable_list& tensors) {
  std::unordered_set<at::TensorImpl*> set;
  for (const at::Tensor& tensor : tensors) set.insert(tensor.unsafeGetTensorImpl());
  return set;
}

// The outputs of a function with their place in the graph, as PyTorch's own functions in Python get it.
template <typename Pointer>
std::vector<std::optional<at::Tensor>> wrapOutputs(const variable_list& inputs, const variable_list& constant,
                                                   const variable_list& dirty, const variable_list& outputs,
                                                   const Pointer& node) {
  std::vector<std::optional<at::Tensor>> raw(outputs.begin(), outputs.end());
  using torch::autograd::_wrap_outputs;
  torch::autograd::_jvp_fn_t forwardMode = [](variable_list, variable_list) -> variable_list {
    throw ArgumentError("forward-mode derivatives are not available for functions written in TypeScript");
  };
  torch::autograd::_view_as_self_fn_t viewAsSelf = [](const at::Tensor& tensor) { return tensor.view_as(tensor); };
  const auto fixed = implementations(constant);
  const auto changed = implementations(dirty);
  NodePointer attached;
  // libtorch 2.15 also says which node was attached.
  if constexpr (requires { _wrap_outputs(inputs, fixed, changed, raw, node, forwardMode, fixed, viewAsSelf, false, attached); }) {
    return _wrap_outputs(inputs, fixed, changed, raw, node, forwardMode, {}, viewAsSelf, false, attached);
  } else {
    return _wrap_outputs(inputs, fixed, changed, raw, node, forwardMode, {}, viewAsSelf, false);
  }
}

// attachFunction(name, inputs, outputs, backward, saved, nonDifferentiable, dirty, materialize): handles of the outputs,
// now results of a function whose gradients the JavaScript function computes.
napi_value attachFunction(Environment& environment, const Arguments& arguments) {
  std::string name = toString(environment, arguments[0], "Function: name");
  variable_list inputs = unwrapTensors(environment, arguments[1], "Function: inputs");
  variable_list outputs = unwrapTensors(environment, arguments[2], "Function: outputs");
  requireFunction(environment, arguments[3], "Function: backward");
  variable_list saved = gradientsOf(environment, arguments[4], "saveForBackward: tensors");
  variable_list constant = unwrapTensors(environment, arguments[5], "markNonDifferentiable: tensors");
  variable_list dirty = unwrapTensors(environment, arguments[6], "markDirty: tensors");
  bool materialize = toBool(environment, arguments[7], "setMaterializeGrads: value");

  for (const at::Tensor& tensor : dirty) {
    auto isSame = [&](const at::Tensor& other) { return other.is_same(tensor); };
    if (std::none_of(inputs.begin(), inputs.end(), isSame)) {
      throw ArgumentError(name + ": markDirty takes tensors that forward was given");
    }
    torch::autograd::impl::bump_version(tensor);
  }
  auto node = makeNode<FunctionNode>();
  bool recorded = at::GradMode::is_enabled() && torch::autograd::any_variable_requires_grad(inputs);
  if (recorded) {
    node->label = name + "Backward";
    node->function = std::make_shared<JsReference>(environment, arguments[3]);
    node->materialize = materialize;
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    node->clear_input_metadata();
  }
  variable_list results;
  for (std::optional<at::Tensor>& result :
       wrapOutputs(inputs, constant, dirty, outputs, recorded ? node : decltype(node)())) {
    if (recorded) node->outputs.emplace_back(*result);
    results.push_back(std::move(*result));
  }
  if (recorded) {
    for (const at::Tensor& tensor : saved) {
      bool isOutput = tensor.defined() && tensor.grad_fn().get() == node.get();
      node->saved.emplace_back(tensor, isOutput);
    }
  }
  return toJs(environment, results);
}

// ---------------------------------------------------------------- modes

// setGradEnabled(enabled): what it was.
napi_value setGradEnabled(Environment& environment, const Arguments& arguments) {
  bool enabled = toBool(environment, arguments[0], "setGradEnabled: enabled");
  bool before = at::GradMode::is_enabled();
  at::GradMode::set_enabled(enabled);
  return toJs(environment, before);
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

// autocastState(device): [enabled, dtype, cacheEnabled]
napi_value autocastState(Environment& environment, const Arguments& arguments) {
  at::DeviceType type = toDeviceType(environment, arguments[0], "autocast: device");
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
  at::DeviceType type = toDeviceType(environment, arguments[0], "autocast: device");
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
          {"gradDtype", guarded<gradDtype>},
          {"setGradDtype", guarded<setGradDtype>},
          {"grads", guarded<grads>},
          {"lendGrads", guarded<lendGrads>},
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
          {"autocastState", guarded<autocastState>},
          {"setAutocast", guarded<setAutocast>},
          {"serveHooksFromHelperThread", guarded<serveHooksFromHelperThread>}};
}

}  // namespace levin
