// Handles: what a JavaScript object holds of a tensor or a generator.
//
// A handle is a `napi_external` whose data points into one reserved range of addresses, so that an external of
// another addon, or of a freed object, is recognised without reading memory that may not exist.
#pragma once

#include "env.h"

#include <ATen/core/Generator.h>

namespace levin {

enum class HandleKind : uint32_t { Free = 0, Disposed, Tensor, Generator };

// A new handle on a tensor; null for an undefined one.
napi_value wrapTensor(Environment& environment, const at::Tensor& tensor);
napi_value wrapGenerator(Environment& environment, const at::Generator& generator);

// The tensor of a handle, null for anything else. A disposed one throws DisposedError.
const at::Tensor* findTensor(Environment& environment, napi_value value);

// Whether the value is a live tensor (generator) handle. A disposed one throws DisposedError.
bool isTensor(Environment& environment, napi_value value);
bool isGenerator(Environment& environment, napi_value value);

// The tensor of a handle; `what` names the argument in the error.
const at::Tensor& unwrapTensor(Environment& environment, napi_value value, const char* what);
at::Generator unwrapGenerator(Environment& environment, napi_value value, const char* what);

// Like unwrapTensor, for null or undefined an undefined tensor.
at::Tensor unwrapOptionalTensor(Environment& environment, napi_value value, const char* what);
std::vector<at::Tensor> unwrapTensors(Environment& environment, napi_value value, const char* what);

// Collects garbage when the handles made since the last collection hold enough bytes.
void collectUnderPressure(Environment& environment);
// Collects everything that is unreachable, after an allocation failed.
void collectAll(Environment& environment);

}  // namespace levin
