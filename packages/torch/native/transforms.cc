// Levels of forward-mode differentiation, and the layers of libtorch's function transforms (vmap, grad, jvp).
#include <ATen/functorch/BatchedTensorImpl.h>
#include <ATen/functorch/DynamicLayer.h>
#include <ATen/functorch/TensorWrapper.h>
#include <c10/core/AutogradState.h>
#include <torch/csrc/autograd/forward_grad.h>

#include "convert.h"

namespace levin {

namespace {

using at::functorch::RandomnessType;
using at::functorch::TransformType;

napi_value enterDualLevel(Environment& environment, const Arguments&) {
  return toJs(environment, static_cast<int64_t>(torch::autograd::ForwardADLevel::get_next_idx()));
}

napi_value exitDualLevel(Environment& environment, const Arguments& arguments) {
  int64_t level = toInt(environment, arguments[0], "exitDualLevel: level");
  if (level < 0) throw ArgumentError("exitDualLevel: level must not be negative, got " + std::to_string(level));
  torch::autograd::ForwardADLevel::release_idx(static_cast<uint64_t>(level));
  return nullptr;
}

RandomnessType randomnessOf(const std::string& name) {
  if (name == "error") return RandomnessType::Error;
  if (name == "same") return RandomnessType::Same;
  if (name == "different") return RandomnessType::Different;
  throw ArgumentError("vmap: randomness must be \"error\", \"same\" or \"different\", got \"" + name + "\"");
}

// pushLayer(kind, batchSize, randomness): the level; kind is "vmap", "grad" or "jvp", the others are only for "vmap".
napi_value pushLayer(Environment& environment, const Arguments& arguments) {
  std::string kind = toString(environment, arguments[0], "the kind of layer");
  int64_t level = 0;
  if (kind == "vmap") {
    int64_t size = toInt(environment, arguments[1], "vmap: the batch size");
    RandomnessType randomness = randomnessOf(toString(environment, arguments[2], "vmap: randomness"));
    level = at::functorch::initAndPushDynamicLayer(TransformType::Vmap, c10::SymInt(size), randomness);
  } else if (kind == "grad") {
    level = at::functorch::initAndPushDynamicLayer(TransformType::Grad, std::nullopt, std::nullopt, at::GradMode::is_enabled());
  } else if (kind == "jvp") {
    bool before = c10::AutogradState::get_tls_state().get_fw_grad_mode();
    level = at::functorch::initAndPushDynamicLayer(TransformType::Jvp, std::nullopt, std::nullopt, std::nullopt, before);
  } else {
    throw ArgumentError("the kind of layer must be \"vmap\", \"grad\" or \"jvp\", got \"" + kind + "\"");
  }
  return toJs(environment, level);
}

napi_value popLayer(Environment& environment, const Arguments& arguments) {
  int64_t level = toInt(environment, arguments[0], "the level");
  auto current = at::functorch::maybeCurrentDynamicLayer();
  if (!current || current->layerId() != level) throw ArgumentError("transforms must be left in the reverse order of entering them");
  at::functorch::popDynamicLayerAndDeleteMetadata();
  return nullptr;
}

int64_t levelOf(Environment& environment, napi_value value) {
  int64_t level = toInt(environment, value, "the level");
  auto current = at::functorch::maybeCurrentDynamicLayer();
  if (!current || level < 1 || level > current->layerId()) throw ArgumentError("there is no transform of level " + std::to_string(level));
  return level;
}

// addBatchDim(handle, dim, level): the tensor without one dimension, over which everything is mapped until the layer ends.
napi_value addBatchDim(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "vmap: an input");
  int64_t dim = at::maybe_wrap_dim(toInt(environment, arguments[1], "vmap: inDims"), tensor.dim());
  return wrapTensor(environment, at::functorch::addBatchDim(tensor, dim, levelOf(environment, arguments[2])));
}

// removeBatchDim(handle, level, batchSize, outDim): the tensor with its hidden dimension at `outDim`.
napi_value removeBatchDim(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "vmap: an output");
  int64_t level = levelOf(environment, arguments[1]);
  int64_t size = toInt(environment, arguments[2], "vmap: the batch size");
  const auto* batched = at::functorch::maybeGetBatchedImpl(tensor);
  bool isMapped = batched != nullptr && batched->level() == level;
  int64_t rank = isMapped ? batched->value().dim() : tensor.dim() + 1;
  int64_t dim = at::maybe_wrap_dim(toInt(environment, arguments[3], "vmap: outDims"), rank);
  if (isMapped) return wrapTensor(environment, batched->value().movedim(batched->bdim(), dim));
  std::vector<int64_t> shape = tensor.sizes().vec();
  shape.insert(shape.begin(), size);
  return wrapTensor(environment, tensor.expand(shape).movedim(0, dim));
}

// wrapForGrad(handle, level): the tensor as the level's transform sees it, apart from the graphs outside.
napi_value wrapForGrad(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "an input");
  return wrapTensor(environment, at::functorch::makeTensorWrapper(tensor, levelOf(environment, arguments[1])));
}

// unwrapForGrad(handle, level): what the tensor is outside the level's transform.
napi_value unwrapForGrad(Environment& environment, const Arguments& arguments) {
  at::Tensor tensor = at::functorch::unwrapIfDead(unwrapTensor(environment, arguments[0], "an output"));
  auto* wrapper = at::functorch::maybeGetTensorWrapper(tensor);
  bool isOfLevel = wrapper != nullptr && wrapper->level() == levelOf(environment, arguments[1]);
  return wrapTensor(environment, isOfLevel ? wrapper->value() : tensor);
}

}  // namespace

std::vector<Export> transformExports() {
  return {{"enterDualLevel", guarded<enterDualLevel>}, {"exitDualLevel", guarded<exitDualLevel>},
          {"pushLayer", guarded<pushLayer>},           {"popLayer", guarded<popLayer>},
          {"addBatchDim", guarded<addBatchDim>},       {"removeBatchDim", guarded<removeBatchDim>},
          {"wrapForGrad", guarded<wrapForGrad>},       {"unwrapForGrad", guarded<unwrapForGrad>}};
}

}  // namespace levin
