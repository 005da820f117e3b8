// Hooks over the tensors that operators save for the backward pass: JavaScript decides what is kept and how it comes back.
#include "convert.h"
#include "engine.h"
#include "exchange.h"

namespace levin {

namespace {

struct HookPair {
  JsReference pack;    // (handle) => any object
  JsReference unpack;  // (that object) => handle
};

// The pairs of this thread, the innermost last; null where saving as usual was asked for.
thread_local std::vector<std::shared_ptr<HookPair>> hookPairs;

// What one saved tensor keeps.
struct SavedHooks : torch::autograd::SavedVariableHooks {
  explicit SavedHooks(std::shared_ptr<HookPair> hooks) : hooks(std::move(hooks)) {}

  void call_pack_hook(const at::Tensor& tensor) override {
    Environment& owner = hooks->pack.environment();
    onJsThread(owner, [&] {
      napi_value value = callFunction(owner, hooks->pack.value(), {wrapTensor(owner, tensor)});
      packed = std::make_unique<JsReference>(owner, value);
    });
  }

  at::Tensor call_unpack_hook() override {
    at::Tensor result;
    Environment& owner = hooks->unpack.environment();
    onJsThread(owner, [&] {
      napi_value value = callFunction(owner, hooks->unpack.value(), {packed->value()});
      result = unwrapTensor(owner, value, "savedTensorsHooks: the result of unpack");
    });
    return result;
  }

  std::shared_ptr<HookPair> hooks;
  std::unique_ptr<JsReference> packed;
};

// pushSavedHooks(pack, unpack) or pushSavedHooks(null): the depth to give to popSavedHooks().
napi_value pushSavedHooks(Environment& environment, const Arguments& arguments) {
  if (isNullish(environment, arguments[0])) {
    hookPairs.push_back(nullptr);
  } else {
    for (size_t i : {0, 1}) {
      napi_valuetype type = napi_undefined;
      if (arguments[i] != nullptr) check(environment, napi_typeof(environment.env, arguments[i], &type));
      if (type != napi_function) throw ArgumentError("savedTensorsHooks: pack and unpack must be functions");
    }
    hookPairs.push_back(std::shared_ptr<HookPair>(new HookPair{{environment, arguments[0]}, {environment, arguments[1]}}));
  }
  return toJs(environment, static_cast<int64_t>(hookPairs.size()));
}

napi_value popSavedHooks(Environment& environment, const Arguments& arguments) {
  int64_t depth = toInt(environment, arguments[0], "the depth");
  if (depth != static_cast<int64_t>(hookPairs.size()) || depth < 1) {
    throw ArgumentError("hooks over saved tensors must be left in the reverse order of entering them");
  }
  hookPairs.pop_back();
  return nullptr;
}

// incrementVersion(handle): counts a change in place, as saved tensors look for it.
napi_value incrementVersion(Environment& environment, const Arguments& arguments) {
  const at::Tensor& tensor = unwrapTensor(environment, arguments[0], "incrementVersion: tensor");
  if (!tensor.is_inference()) tensor.unsafeGetTensorImpl()->bump_version();
  return nullptr;
}

}  // namespace

std::unique_ptr<torch::autograd::SavedVariableHooks> savedTensorHooks() {
  if (hookPairs.empty() || hookPairs.back() == nullptr) return nullptr;
  return std::make_unique<SavedHooks>(hookPairs.back());
}

std::vector<Export> savedHooksExports() {
  return {{"pushSavedHooks", guarded<pushSavedHooks>},
          {"popSavedHooks", guarded<popSavedHooks>},
          {"incrementVersion", guarded<incrementVersion>}};
}

}  // namespace levin
