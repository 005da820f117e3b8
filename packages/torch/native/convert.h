// Values between JavaScript and libtorch.
#pragma once

#include "handle.h"

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <optional>

namespace levin {

// What a schema says of one argument, prepared once.
enum class ArgumentKind {
  Tensor, Int, Float, Bool, Scalar, String, DType, Layout, MemoryFormat, Device, Generator,
  TensorList, OptionalTensorList, IntList, FloatList, BoolList, ScalarList, StringList, Unsupported
};

struct ArgumentSlot {
  std::string name;     // as PyTorch writes it
  std::string jsName;   // camelCase
  std::string typeName;
  ArgumentKind kind = ArgumentKind::Unsupported;
  bool optional = false;
  bool keywordOnly = false;
  bool written = false;                // the operator writes into it
  bool takesNumbers = false;           // a number given for this tensor stands for one without dimensions
  std::optional<int32_t> fixedLength;  // of a list that one number may stand for
  std::optional<c10::IValue> defaultValue;
};

ArgumentSlot makeSlot(const c10::Argument& argument);

// Whether `value` can be given for `slot`; the converted value goes to `out`. `lenient` allows a tensor of one element for a scalar.
bool toIValue(Environment& environment, napi_value value, const ArgumentSlot& slot, bool lenient, c10::IValue& out);
napi_value fromIValue(Environment& environment, const c10::IValue& value);

// A short description of a JavaScript value for error messages.
std::string describe(Environment& environment, napi_value value);

std::string shapeText(at::IntArrayRef sizes);

bool isNullish(Environment& environment, napi_value value);
bool isUndefined(Environment& environment, napi_value value);
uint32_t arrayLength(Environment& environment, napi_value value, const char* what);

int64_t toInt(Environment& environment, napi_value value, const char* what);
double toDouble(Environment& environment, napi_value value, const char* what);
bool toBool(Environment& environment, napi_value value, const char* what);
std::string toString(Environment& environment, napi_value value, const char* what);
std::vector<int64_t> toInts(Environment& environment, napi_value value, const char* what);
at::ScalarType toDType(Environment& environment, napi_value value, const char* what);
at::Device toDevice(Environment& environment, napi_value value, const char* what);  // one that can be used here
at::DeviceType toDeviceType(Environment& environment, napi_value value, const char* what);

const char* dtypeName(at::ScalarType dtype);

napi_value toJs(Environment& environment, bool value);
napi_value toJs(Environment& environment, int64_t value);  // bigint where a number would not be exact
napi_value toJs(Environment& environment, uint64_t value);  // the same
napi_value toJs(Environment& environment, double value);
napi_value toJs(Environment& environment, const std::string& value);
napi_value toJs(Environment& environment, at::IntArrayRef values);
napi_value toJs(Environment& environment, const std::vector<at::Tensor>& tensors);
void setProperty(Environment& environment, napi_value object, const char* name, napi_value value);

}  // namespace levin
