#include "engine.h"

#include <torch/csrc/autograd/engine.h>

namespace levin {

namespace {

class Engine : public torch::autograd::Engine {
 public:
  std::unique_ptr<torch::autograd::AnomalyMetadata> make_anomaly_metadata() override { return makeAnomalyMetadata(); }
  std::unique_ptr<torch::autograd::SavedVariableHooks> get_default_saved_variable_hooks() override { return savedTensorHooks(); }
};

torch::autograd::Engine& engine() {
  static auto* instance = new Engine;  // never destroyed: its threads may outlive everything else
  return *instance;
}

}  // namespace

void installEngine() { torch::autograd::set_default_engine_stub(engine); }

}  // namespace levin
