// Anomaly mode with JavaScript stacks: each node of the graph knows where its forward operator was called.
#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>

#include "convert.h"
#include "engine.h"
#include "exchange.h"

namespace levin {

namespace {

using NodePointer = decltype(torch::autograd::Edge::function);

// What gives the stack, and what shows one: of the thread that turned anomaly mode on.
struct Callbacks {
  std::shared_ptr<JsReference> capture;
  std::shared_ptr<JsReference> show;
};
thread_local std::shared_ptr<Callbacks> callbacks;

class JsAnomalyMetadata : public torch::autograd::AnomalyMetadata {
 public:
  void store_stack() override {
    callbacks_ = callbacks;
    if (!callbacks_) return;
    Environment& environment = callbacks_->capture->environment();
    onJsThread(environment, [&] {
      stack_ = toString(environment, callFunction(environment, callbacks_->capture->value(), {}), "the stack");
    });
  }

  void print_stack(const std::string& name) override {
    // A node that was made before anomaly mode was on has none of its own.
    std::shared_ptr<Callbacks> shown = callbacks_ ? callbacks_ : callbacks;
    if (!shown) return;
    Environment& environment = shown->show->environment();
    onJsThread(environment, [&] {
      callFunction(environment, shown->show->value(),
                   {toJs(environment, name), toJs(environment, stack_), toJs(environment, false)});
      // A node of a backward pass has no better place than that of the node it belongs to.
      NodePointer parent = parent_;
      while (parent) {
        auto* metadata = dynamic_cast<JsAnomalyMetadata*>(parent->metadata());
        if (metadata == nullptr) break;
        callFunction(environment, shown->show->value(),
                     {toJs(environment, parent->name()), toJs(environment, metadata->stack_), toJs(environment, true)});
        parent = metadata->parent_;
      }
    });
  }

  void assign_parent(const NodePointer& parent) override { parent_ = parent; }

 private:
  std::shared_ptr<Callbacks> callbacks_;
  std::string stack_;
  NodePointer parent_;
};

// setDetectAnomaly(enabled, checkNan, capture, show): `capture` gives a stack, `show` gets a name, a stack and whether it is a parent's.
napi_value setDetectAnomaly(Environment& environment, const Arguments& arguments) {
  bool enabled = toBool(environment, arguments[0], "setDetectAnomaly: enabled");
  bool checkNan = toBool(environment, arguments[1], "setDetectAnomaly: checkNan");
  if (enabled) {
    callbacks = std::make_shared<Callbacks>(Callbacks{std::make_shared<JsReference>(environment, arguments[2]),
                                                      std::make_shared<JsReference>(environment, arguments[3])});
  }
  torch::autograd::AnomalyMode::set_enabled(enabled, checkNan);
  return nullptr;
}

napi_value isDetectAnomaly(Environment& environment, const Arguments&) {
  return toJs(environment, torch::autograd::AnomalyMode::is_enabled());
}

}  // namespace

std::unique_ptr<torch::autograd::AnomalyMetadata> makeAnomalyMetadata() { return std::make_unique<JsAnomalyMetadata>(); }

std::vector<Export> anomalyExports() {
  return {{"setDetectAnomaly", guarded<setDetectAnomaly>}, {"isDetectAnomaly", guarded<isDetectAnomaly>}};
}

}  // namespace levin
