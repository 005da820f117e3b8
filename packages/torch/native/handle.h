// Handles: what a JavaScript object holds of a tensor or a generator.
//
// A handle is a `napi_external` whose data points into one reserved range of addresses, so that an external of
// another addon, or of a freed object, is recognised without reading memory that may not exist.
#pragma once

#include "env.h"

#include <ATen/core/Generator.h>

namespace levin {

// What the memory of a new handle counts for in the decision when to collect garbage.
enum class Accounting {
  Storage,  // its storage, where it is the first tensor on it
  None      // nothing: another live tensor keeps it alive, as it does its gradient
};

// A new handle on a tensor; null for an undefined one.
napi_value wrapTensor(Environment& environment, const at::Tensor& tensor, Accounting accounting = Accounting::Storage);
napi_value wrapGenerator(Environment& environment, const at::Generator& generator);

// The tensor of a handle, null for anything else; valid until JavaScript code runs. A disposed one throws DisposedError.
const at::Tensor* findTensor(Environment& environment, napi_value value);

// Whether the value is a live tensor (generator) handle. A disposed one throws DisposedError.
bool isTensor(Environment& environment, napi_value value);
bool isGenerator(Environment& environment, napi_value value);

// The tensor of a handle; `what` names the argument in the error. The reference is valid until JavaScript code runs, which may
// dispose of the tensor.
const at::Tensor& unwrapTensor(Environment& environment, napi_value value, const char* what);
at::Generator unwrapGenerator(Environment& environment, napi_value value, const char* what);

// Like unwrapTensor, for null or undefined an undefined tensor.
at::Tensor unwrapOptionalTensor(Environment& environment, napi_value value, const char* what);
std::vector<at::Tensor> unwrapTensors(Environment& environment, napi_value value, const char* what);

// Gives a tensor to handles that were disposed of, so that short uses again and again need no new ones; their memory isn't accounted for.
// False, with nothing done, where one of them isn't a disposed one.
bool refill(Environment& environment, const std::vector<napi_value>& handles, const std::vector<at::Tensor>& tensors);

// Tells the allocator to keep memory that a collection frees, since the next steps need as much again: by default it gives it back to the
// system, and new memory has to be cleared page by page. Blocks of more than 24 MiB are given back at once.
void keepFreedMemory();

// Gives the unused handles of an environment that ends to the others.
void returnHandles(Environment& environment);

// Collects garbage when enough handles were made since the last collection, or hold enough bytes.
void collectUnderPressure(Environment& environment);
// Collects everything that is unreachable.
void collectAll(Environment& environment);
// Whether the error in flight says that an allocation failed. To be called inside a catch block.
bool isOutOfMemory();

// Runs `allocate`; where there is no memory for it, once more with all garbage collected.
template <typename Allocate>
auto withRoom(Environment& environment, const Allocate& allocate) {
  try {
    return allocate();
  } catch (...) {
    if (!isOutOfMemory()) throw;
  }
  collectAll(environment);
  return allocate();
}

}  // namespace levin
