// The autograd engine of the process: libtorch's, which asks JavaScript where Python's engine asks Python.
#pragma once

#include <torch/csrc/autograd/anomaly_mode.h>
#include <torch/csrc/autograd/saved_variable_hooks.h>

#include <memory>

namespace levin {

// What a node of the graph keeps in anomaly mode: the JavaScript stack of its forward operator.
std::unique_ptr<torch::autograd::AnomalyMetadata> makeAnomalyMetadata();

// The hooks for a tensor that is about to be saved; null where it is saved as usual.
std::unique_ptr<torch::autograd::SavedVariableHooks> savedTensorHooks();

// Makes it the process's engine. Before the first backward pass, so that there is one only.
void installEngine();

}  // namespace levin
