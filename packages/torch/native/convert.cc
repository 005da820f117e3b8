#include "convert.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>

#include <cmath>
#include <unordered_map>
#include <unordered_set>

namespace levin {

namespace {

constexpr double kSafeInteger = 9007199254740991.0;

const std::vector<std::pair<const char*, at::ScalarType>>& dtypes() {
  static const std::vector<std::pair<const char*, at::ScalarType>> table = {
      {"float32", at::kFloat},
      {"float64", at::kDouble},
      {"float16", at::kHalf},
      {"bfloat16", at::kBFloat16},
      {"uint8", at::kByte},
      {"int8", at::kChar},
      {"int16", at::kShort},
      {"int32", at::kInt},
      {"int64", at::kLong},
      {"bool", at::kBool},
      {"complex32", at::ScalarType::ComplexHalf},
      {"complex64", at::ScalarType::ComplexFloat},
      {"complex128", at::ScalarType::ComplexDouble},
      {"uint16", at::ScalarType::UInt16},
      {"uint32", at::ScalarType::UInt32},
      {"uint64", at::ScalarType::UInt64},
      {"float8_e4m3fn", at::ScalarType::Float8_e4m3fn},
      {"float8_e5m2", at::ScalarType::Float8_e5m2},
      {"float8_e4m3fnuz", at::ScalarType::Float8_e4m3fnuz},
      {"float8_e5m2fnuz", at::ScalarType::Float8_e5m2fnuz},
      {"float8_e8m0fnu", at::ScalarType::Float8_e8m0fnu},
      {"quint8", at::ScalarType::QUInt8},
      {"qint8", at::ScalarType::QInt8},
      {"qint32", at::ScalarType::QInt32},
  };
  return table;
}

std::optional<at::ScalarType> findDType(const std::string& name) {
  for (const auto& [known, type] : dtypes()) {
    if (name == known) return type;
  }
  return std::nullopt;
}

napi_valuetype typeOf(Environment& environment, napi_value value) {
  napi_valuetype type = napi_undefined;
  if (value != nullptr) check(environment, napi_typeof(environment.env, value, &type));
  return type;
}

std::string stringOf(Environment& environment, napi_value value) {
  char buffer[128];
  size_t length = 0;
  check(environment, napi_get_value_string_utf8(environment.env, value, nullptr, 0, &length));
  if (length < sizeof(buffer)) {
    check(environment, napi_get_value_string_utf8(environment.env, value, buffer, sizeof(buffer), &length));
    return std::string(buffer, length);
  }
  std::string text(length, '\0');
  check(environment, napi_get_value_string_utf8(environment.env, value, text.data(), length + 1, &length));
  return text;
}

std::optional<int64_t> bigintOf(Environment& environment, napi_value value) {
  int64_t number = 0;
  bool lossless = false;
  check(environment, napi_get_value_bigint_int64(environment.env, value, &number, &lossless));
  if (!lossless) return std::nullopt;
  return number;
}

std::optional<int64_t> intOf(Environment& environment, napi_value value) {
  switch (typeOf(environment, value)) {
    case napi_number: {
      double number = 0;
      check(environment, napi_get_value_double(environment.env, value, &number));
      if (!(std::abs(number) <= kSafeInteger) || number != std::trunc(number)) return std::nullopt;
      return static_cast<int64_t>(number);
    }
    case napi_bigint:
      return bigintOf(environment, value);
    default:
      return std::nullopt;
  }
}

std::optional<double> doubleOf(Environment& environment, napi_value value) {
  switch (typeOf(environment, value)) {
    case napi_number: {
      double number = 0;
      check(environment, napi_get_value_double(environment.env, value, &number));
      return number;
    }
    case napi_bigint: {
      std::optional<int64_t> number = bigintOf(environment, value);
      if (!number) return std::nullopt;
      return static_cast<double>(*number);
    }
    default:
      return std::nullopt;
  }
}

std::optional<bool> boolOf(Environment& environment, napi_value value) {
  if (typeOf(environment, value) != napi_boolean) return std::nullopt;
  bool flag = false;
  check(environment, napi_get_value_bool(environment.env, value, &flag));
  return flag;
}

std::optional<double> numberProperty(Environment& environment, napi_value object, const char* name) {
  napi_value value = nullptr;
  bool has = false;
  check(environment, napi_has_named_property(environment.env, object, name, &has));
  if (!has) return std::nullopt;
  check(environment, napi_get_named_property(environment.env, object, name, &value));
  if (typeOf(environment, value) != napi_number) return std::nullopt;
  double number = 0;
  check(environment, napi_get_value_double(environment.env, value, &number));
  return number;
}

// A number with an integer value counts as an integer, as Python's int does: it does not promote an integer tensor.
std::optional<at::Scalar> scalarOf(Environment& environment, napi_value value, bool lenient) {
  switch (typeOf(environment, value)) {
    case napi_number: {
      std::optional<int64_t> integer = intOf(environment, value);
      double number = 0;
      check(environment, napi_get_value_double(environment.env, value, &number));
      if (integer && !(number == 0 && std::signbit(number))) return at::Scalar(*integer);
      return at::Scalar(number);
    }
    case napi_bigint: {
      std::optional<int64_t> integer = bigintOf(environment, value);
      if (!integer) return std::nullopt;
      return at::Scalar(*integer);
    }
    case napi_boolean: {
      bool flag = false;
      check(environment, napi_get_value_bool(environment.env, value, &flag));
      return at::Scalar(flag);
    }
    case napi_object: {
      std::optional<double> real = numberProperty(environment, value, "re");
      std::optional<double> imaginary = real ? numberProperty(environment, value, "im") : std::nullopt;
      if (!imaginary) return std::nullopt;
      return at::Scalar(c10::complex<double>(*real, *imaginary));
    }
    case napi_external: {
      if (!lenient || !isTensor(environment, value)) return std::nullopt;
      const at::Tensor& tensor = unwrapTensor(environment, value, "the scalar");
      if (tensor.numel() != 1 || tensor.requires_grad()) return std::nullopt;
      return tensor.item();
    }
    default:
      return std::nullopt;
  }
}

ArgumentKind listKind(const c10::TypePtr& element) {
  switch (element->kind()) {
    case c10::TypeKind::TensorType:
      return ArgumentKind::TensorList;
    case c10::TypeKind::OptionalType:
      return element->castRaw<c10::OptionalType>()->getElementType()->kind() == c10::TypeKind::TensorType
                 ? ArgumentKind::OptionalTensorList
                 : ArgumentKind::Unsupported;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return ArgumentKind::IntList;
    case c10::TypeKind::FloatType:
      return ArgumentKind::FloatList;
    case c10::TypeKind::BoolType:
      return ArgumentKind::BoolList;
    case c10::TypeKind::NumberType:
      return ArgumentKind::ScalarList;
    case c10::TypeKind::StringType:
      return ArgumentKind::StringList;
    default:
      return ArgumentKind::Unsupported;
  }
}

ArgumentKind kindOf(const c10::TypePtr& real, const c10::TypePtr& fallback) {
  switch (real->kind()) {
    case c10::TypeKind::ScalarTypeType:
      return ArgumentKind::DType;
    case c10::TypeKind::LayoutType:
      return ArgumentKind::Layout;
    case c10::TypeKind::MemoryFormatType:
      return ArgumentKind::MemoryFormat;
    default:
      break;
  }
  switch (fallback->kind()) {
    case c10::TypeKind::TensorType:
      return ArgumentKind::Tensor;
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return ArgumentKind::Int;
    case c10::TypeKind::FloatType:
    case c10::TypeKind::SymFloatType:
      return ArgumentKind::Float;
    case c10::TypeKind::BoolType:
    case c10::TypeKind::SymBoolType:
      return ArgumentKind::Bool;
    case c10::TypeKind::NumberType:
      return ArgumentKind::Scalar;
    case c10::TypeKind::StringType:
      return ArgumentKind::String;
    case c10::TypeKind::DeviceObjType:
      return ArgumentKind::Device;
    case c10::TypeKind::GeneratorType:
      return ArgumentKind::Generator;
    case c10::TypeKind::ListType:
      return listKind(fallback->castRaw<c10::ListType>()->getElementType());
    default:
      return ArgumentKind::Unsupported;
  }
}

c10::TypePtr withoutOptional(const c10::TypePtr& type) {
  return type->kind() == c10::TypeKind::OptionalType ? type->castRaw<c10::OptionalType>()->getElementType() : type;
}

const char* kindName(ArgumentKind kind) {
  switch (kind) {
    case ArgumentKind::Tensor: return "Tensor";
    case ArgumentKind::Int: return "integer";
    case ArgumentKind::Float: return "number";
    case ArgumentKind::Bool: return "boolean";
    case ArgumentKind::Scalar: return "number | bigint | boolean | Complex";
    case ArgumentKind::String: return "string";
    case ArgumentKind::DType: return "DType";
    case ArgumentKind::Layout: return "Layout";
    case ArgumentKind::MemoryFormat: return "MemoryFormat";
    case ArgumentKind::Device: return "Device";
    case ArgumentKind::Generator: return "Generator";
    case ArgumentKind::TensorList: return "Tensor[]";
    case ArgumentKind::OptionalTensorList: return "(Tensor | null)[]";
    case ArgumentKind::IntList: return "integer[]";
    case ArgumentKind::FloatList: return "number[]";
    case ArgumentKind::BoolList: return "boolean[]";
    case ArgumentKind::ScalarList: return "(number | bigint | boolean)[]";
    case ArgumentKind::StringList: return "string[]";
    case ArgumentKind::Unsupported: return "a type that cannot be given from JavaScript";
  }
  return "?";
}

std::string camelCase(const std::string& name) {
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '_' && i > 0 && i + 1 < name.size() && name[i + 1] != '_' && !out.empty()) {
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(name[++i])));
    } else {
      out += name[i];
    }
  }
  return out;
}

bool isArray(Environment& environment, napi_value value) {
  bool array = false;
  if (value != nullptr) check(environment, napi_is_array(environment.env, value, &array));
  return array;
}

// Converts every element with `convert`, false as soon as one does not fit.
template <typename List, typename Convert>
bool fillList(Environment& environment, napi_value value, List& list, const Convert& convert) {
  if (!isArray(environment, value)) return false;
  uint32_t length = 0;
  check(environment, napi_get_array_length(environment.env, value, &length));
  list.reserve(length);
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, value, i, &element));
    auto converted = convert(element);
    if (!converted) return false;
    list.push_back(std::move(*converted));
  }
  return true;
}

template <typename T, typename Convert>
bool toList(Environment& environment, napi_value value, const ArgumentSlot& slot, c10::IValue& out, const Convert& convert) {
  c10::List<T> list;
  if (slot.fixedLength && !isArray(environment, value)) {
    auto single = convert(value);
    if (!single) return false;
    for (int32_t i = 0; i < *slot.fixedLength; ++i) list.push_back(*single);
    out = std::move(list);
    return true;
  }
  if (!fillList(environment, value, list, convert)) return false;
  out = std::move(list);
  return true;
}

// Whether the text begins like the name of a device. The names of other things, such as types, come here whenever a form of
// an operator is tried that takes a device, and the exception by which libtorch refuses them costs more than most operators.
bool namesDevice(const std::string& text) {
  static const auto types = [] {
    std::unordered_set<std::string> names;
    for (int i = 0; i < c10::COMPILE_TIME_MAX_DEVICE_TYPES; ++i) {
      names.insert(c10::DeviceTypeName(static_cast<c10::DeviceType>(i), true));
    }
    return names;
  }();
  return types.count(text.substr(0, text.find(':'))) != 0;
}

std::optional<at::Device> parseDevice(const std::string& text) {
  if (!namesDevice(text)) return std::nullopt;
  std::optional<at::Device> device;
  try {
    device = at::Device(text);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  if (device->is_cpu() || device->is_meta()) return device;
  // Said here rather than by whichever operator comes to need it first.
  int64_t count = c10::impl::hasDeviceGuardImpl(device->type()) ? c10::impl::getDeviceGuardImpl(device->type())->deviceCount() : 0;
  if (count == 0) {
    throw ArgumentError("the device \"" + text + "\" cannot be used here: libtorch finds no " +
                        c10::DeviceTypeName(device->type(), false) + " device; `npx levin doctor` tells what was found");
  }
  if (device->index() >= count) {
    throw ArgumentError("the device \"" + text + "\" does not exist: there are " + std::to_string(count) + ", numbered from 0");
  }
  return device;
}

std::optional<int64_t> layoutOf(const std::string& text) {
  static const std::unordered_map<std::string, at::Layout> names = {
      {"strided", at::kStrided},      {"sparse_coo", at::kSparse},         {"sparse_csr", at::kSparseCsr},
      {"sparse_csc", at::kSparseCsc}, {"sparse_bsr", at::kSparseBsr},      {"sparse_bsc", at::kSparseBsc},
      {"mkldnn", at::kMkldnn},        {"jagged", at::Layout::Jagged}};
  auto found = names.find(text);
  if (found == names.end()) return std::nullopt;
  return static_cast<int64_t>(found->second);
}

std::optional<int64_t> memoryFormatOf(const std::string& text) {
  static const std::unordered_map<std::string, at::MemoryFormat> names = {
      {"contiguous_format", at::MemoryFormat::Contiguous},
      {"preserve_format", at::MemoryFormat::Preserve},
      {"channels_last", at::MemoryFormat::ChannelsLast},
      {"channels_last_3d", at::MemoryFormat::ChannelsLast3d}};
  auto found = names.find(text);
  if (found == names.end()) return std::nullopt;
  return static_cast<int64_t>(found->second);
}

}  // namespace

ArgumentSlot makeSlot(const c10::Argument& argument) {
  ArgumentSlot slot;
  slot.name = argument.name();
  slot.jsName = camelCase(argument.name());
  slot.keywordOnly = argument.kwarg_only();
  slot.optional = argument.type()->kind() == c10::TypeKind::OptionalType;
  slot.kind = kindOf(withoutOptional(argument.real_type()), withoutOptional(argument.type()));
  slot.written = argument.alias_info() != nullptr && argument.alias_info()->isWrite();
  slot.fixedLength = argument.N();
  slot.typeName = kindName(slot.kind);
  if (slot.optional) slot.typeName += " | null";
  if (argument.default_value()) slot.defaultValue = *argument.default_value();
  return slot;
}

bool toIValue(Environment& environment, napi_value value, const ArgumentSlot& slot, bool lenient, c10::IValue& out) {
  if (slot.kind == ArgumentKind::Tensor) {
    // findTensor looks at the type itself: the common case asks for it once.
    if (const at::Tensor* tensor = findTensor(environment, value)) {
      out = *tensor;
      return true;
    }
  }
  napi_valuetype type = typeOf(environment, value);
  if (type == napi_null) {
    if (!slot.optional) return false;
    out = c10::IValue();
    return true;
  }
  auto assign = [&out](auto&& converted) {
    if (!converted) return false;
    out = std::move(*converted);
    return true;
  };
  switch (slot.kind) {
    case ArgumentKind::Tensor: {
      if (!slot.takesNumbers || type == napi_external) return false;
      std::optional<at::Scalar> number = scalarOf(environment, value, false);
      if (!number) return false;
      at::Tensor tensor = c10::scalar_to_tensor(*number);
      tensor.unsafeGetTensorImpl()->set_wrapped_number(true);  // as a number it does not decide the type of the result
      out = std::move(tensor);
      return true;
    }
    case ArgumentKind::Int: {
      if (lenient && type == napi_external && isTensor(environment, value)) {
        const at::Tensor& tensor = unwrapTensor(environment, value, slot.jsName.c_str());
        if (tensor.numel() != 1 || !at::isIntegralType(tensor.scalar_type(), false)) return false;
        out = tensor.item().toLong();
        return true;
      }
      return assign(intOf(environment, value));
    }
    case ArgumentKind::Float: {
      if (lenient && type == napi_external && isTensor(environment, value)) {
        const at::Tensor& tensor = unwrapTensor(environment, value, slot.jsName.c_str());
        if (tensor.numel() != 1 || tensor.requires_grad()) return false;
        out = tensor.item().toDouble();
        return true;
      }
      return assign(doubleOf(environment, value));
    }
    case ArgumentKind::Bool:
      return assign(boolOf(environment, value));
    case ArgumentKind::Scalar:
      return assign(scalarOf(environment, value, lenient));
    case ArgumentKind::String:
      if (type != napi_string) return false;
      out = stringOf(environment, value);
      return true;
    case ArgumentKind::DType: {
      if (type != napi_string) return false;
      std::optional<at::ScalarType> dtype = findDType(stringOf(environment, value));
      if (!dtype) return false;
      out = static_cast<int64_t>(*dtype);
      return true;
    }
    case ArgumentKind::Layout:
      return type == napi_string && assign(layoutOf(stringOf(environment, value)));
    case ArgumentKind::MemoryFormat:
      return type == napi_string && assign(memoryFormatOf(stringOf(environment, value)));
    case ArgumentKind::Device:
      return type == napi_string && assign(parseDevice(stringOf(environment, value)));
    case ArgumentKind::Generator:
      if (type != napi_external || !isGenerator(environment, value)) return false;
      out = unwrapGenerator(environment, value, slot.jsName.c_str());
      return true;
    case ArgumentKind::TensorList:
      return toList<at::Tensor>(environment, value, slot, out, [&](napi_value element) -> std::optional<at::Tensor> {
        const at::Tensor* tensor = findTensor(environment, element);
        if (tensor == nullptr) return std::nullopt;
        return *tensor;
      });
    case ArgumentKind::OptionalTensorList:
      return toList<std::optional<at::Tensor>>(
          environment, value, slot, out, [&](napi_value element) -> std::optional<std::optional<at::Tensor>> {
            if (isNullish(environment, element)) return std::optional<std::optional<at::Tensor>>(std::optional<at::Tensor>());
            const at::Tensor* tensor = findTensor(environment, element);
            if (tensor == nullptr) return std::nullopt;
            return std::optional<at::Tensor>(*tensor);
          });
    case ArgumentKind::IntList:
      return toList<int64_t>(environment, value, slot, out,
                             [&](napi_value element) { return intOf(environment, element); });
    case ArgumentKind::FloatList:
      return toList<double>(environment, value, slot, out,
                            [&](napi_value element) { return doubleOf(environment, element); });
    case ArgumentKind::BoolList:
      return toList<bool>(environment, value, slot, out,
                          [&](napi_value element) { return boolOf(environment, element); });
    case ArgumentKind::ScalarList: {
      c10::impl::GenericList list(c10::NumberType::get());
      if (!fillList(environment, value, list, [&](napi_value element) -> std::optional<c10::IValue> {
            std::optional<at::Scalar> scalar = scalarOf(environment, element, lenient);
            if (!scalar) return std::nullopt;
            return c10::IValue(*scalar);
          })) {
        return false;
      }
      out = std::move(list);
      return true;
    }
    case ArgumentKind::StringList:
      return toList<std::string>(environment, value, slot, out, [&](napi_value element) -> std::optional<std::string> {
        if (typeOf(environment, element) != napi_string) return std::nullopt;
        return stringOf(environment, element);
      });
    case ArgumentKind::Unsupported:
      return false;
  }
  return false;
}

napi_value fromIValue(Environment& environment, const c10::IValue& value) {
  if (value.isTensor()) return wrapTensor(environment, value.toTensor());
  if (value.isNone()) return wrapTensor(environment, at::Tensor());
  if (value.isBool()) return toJs(environment, value.toBool());
  if (value.isInt()) return toJs(environment, value.toInt());
  if (value.isSymInt()) return toJs(environment, value.toSymInt().guard_int(__FILE__, __LINE__));
  if (value.isDouble()) return toJs(environment, value.toDouble());
  if (value.isString()) return toJs(environment, value.toStringRef());
  if (value.isDevice()) return toJs(environment, value.toDevice().str());
  if (value.isComplexDouble()) {
    c10::complex<double> number = value.toComplexDouble();
    napi_value object = nullptr;
    check(environment, napi_create_object(environment.env, &object));
    setProperty(environment, object, "re", toJs(environment, number.real()));
    setProperty(environment, object, "im", toJs(environment, number.imag()));
    return object;
  }
  if (value.isTuple() || value.isList()) {
    const auto elements = value.isTuple() ? value.toTupleRef().elements().vec() : value.toListRef().vec();
    napi_value array = nullptr;
    check(environment, napi_create_array_with_length(environment.env, elements.size(), &array));
    for (size_t i = 0; i < elements.size(); ++i) {
      check(environment, napi_set_element(environment.env, array, i, fromIValue(environment, elements[i])));
    }
    return array;
  }
  throw std::runtime_error("the operator gave a value of type " + value.tagKind() + ", which has no form in JavaScript");
}

std::string shapeText(at::IntArrayRef sizes) {
  std::string text = "[";
  for (size_t d = 0; d < sizes.size(); ++d) text += (d > 0 ? ", " : "") + std::to_string(sizes[d]);
  return text + "]";
}

std::string describe(Environment& environment, napi_value value) {
  switch (typeOf(environment, value)) {
    case napi_undefined: return "undefined";
    case napi_null: return "null";
    case napi_boolean: return toBool(environment, value, "") ? "true" : "false";
    case napi_bigint: return "a bigint";
    case napi_symbol: return "a symbol";
    case napi_function: return "a function";
    case napi_number: {
      double number = 0;
      check(environment, napi_get_value_double(environment.env, value, &number));
      if (std::isnan(number)) return "NaN";
      if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
      char text[40];
      std::snprintf(text, sizeof(text), "%.12g", number);
      return text;
    }
    case napi_string: {
      std::string text = stringOf(environment, value);
      return "\"" + (text.size() > 40 ? text.substr(0, 40) + "..." : text) + "\"";
    }
    case napi_external: {
      if (isGenerator(environment, value)) return "a Generator";
      if (!isTensor(environment, value)) return "a foreign object";
      const at::Tensor& tensor = unwrapTensor(environment, value, "");
      std::string text = "Tensor(";
      if (tensor.layout() == at::kStrided && !tensor.is_nested()) {
        text += shapeText(tensor.sizes()) + ", ";
      }
      return text + dtypeName(tensor.scalar_type()) + ")";
    }
    case napi_object: {
      if (!isArray(environment, value)) return "an object";
      uint32_t length = 0;
      check(environment, napi_get_array_length(environment.env, value, &length));
      std::string text = "[";
      for (uint32_t i = 0; i < length && i < 6; ++i) {
        napi_value element = nullptr;
        check(environment, napi_get_element(environment.env, value, i, &element));
        text += (i > 0 ? ", " : "") + (isArray(environment, element) ? "[...]" : describe(environment, element));
      }
      return text + (length > 6 ? ", ...]" : "]");
    }
  }
  return "a value";
}

bool isNullish(Environment& environment, napi_value value) {
  napi_valuetype type = typeOf(environment, value);
  return type == napi_undefined || type == napi_null;
}

bool isUndefined(Environment& environment, napi_value value) { return typeOf(environment, value) == napi_undefined; }

uint32_t arrayLength(Environment& environment, napi_value value, const char* what) {
  if (!isArray(environment, value)) {
    throw ArgumentError(std::string(what) + " must be an array, got " + describe(environment, value));
  }
  uint32_t length = 0;
  check(environment, napi_get_array_length(environment.env, value, &length));
  return length;
}

namespace {

[[noreturn]] void wrong(Environment& environment, napi_value value, const char* what, const char* wanted) {
  throw ArgumentError(std::string(what) + " must be " + wanted + ", got " + describe(environment, value));
}

}  // namespace

int64_t toInt(Environment& environment, napi_value value, const char* what) {
  std::optional<int64_t> number = intOf(environment, value);
  if (!number) wrong(environment, value, what, "an integer");
  return *number;
}

double toDouble(Environment& environment, napi_value value, const char* what) {
  std::optional<double> number = doubleOf(environment, value);
  if (!number) wrong(environment, value, what, "a number");
  return *number;
}

bool toBool(Environment& environment, napi_value value, const char* what) {
  std::optional<bool> flag = boolOf(environment, value);
  if (!flag) wrong(environment, value, what, "true or false");
  return *flag;
}

std::string toString(Environment& environment, napi_value value, const char* what) {
  if (typeOf(environment, value) != napi_string) wrong(environment, value, what, "a string");
  return stringOf(environment, value);
}

std::vector<int64_t> toInts(Environment& environment, napi_value value, const char* what) {
  std::vector<int64_t> numbers;
  if (!fillList(environment, value, numbers, [&](napi_value element) { return intOf(environment, element); })) {
    wrong(environment, value, what, "an array of integers");
  }
  return numbers;
}

at::ScalarType toDType(Environment& environment, napi_value value, const char* what) {
  std::optional<at::ScalarType> dtype;
  if (typeOf(environment, value) == napi_string) dtype = findDType(stringOf(environment, value));
  if (!dtype) {
    std::string allowed;
    for (const auto& entry : dtypes()) allowed += (allowed.empty() ? "\"" : ", \"") + std::string(entry.first) + "\"";
    wrong(environment, value, what, ("one of " + allowed).c_str());
  }
  return *dtype;
}

at::Device toDevice(Environment& environment, napi_value value, const char* what) {
  std::optional<at::Device> device;
  if (typeOf(environment, value) == napi_string) device = parseDevice(stringOf(environment, value));
  if (!device) wrong(environment, value, what, "a device such as \"cpu\", \"cuda\", \"cuda:0\" or \"mps\"");
  return *device;
}

at::DeviceType toDeviceType(Environment& environment, napi_value value, const char* what) {
  try {
    if (typeOf(environment, value) == napi_string) return at::Device(stringOf(environment, value)).type();
  } catch (const c10::Error&) {
  }
  wrong(environment, value, what, "a type of device such as \"cpu\", \"cuda\" or \"mps\"");
}

const char* dtypeName(at::ScalarType dtype) {
  for (const auto& [name, type] : dtypes()) {
    if (type == dtype) return name;
  }
  return "unknown";
}

napi_value toJs(Environment& environment, bool value) {
  napi_value result = nullptr;
  check(environment, napi_get_boolean(environment.env, value, &result));
  return result;
}

napi_value toJs(Environment& environment, int64_t value) {
  napi_value result = nullptr;
  if (std::abs(static_cast<double>(value)) <= kSafeInteger) {
    check(environment, napi_create_int64(environment.env, value, &result));
  } else {
    check(environment, napi_create_bigint_int64(environment.env, value, &result));
  }
  return result;
}

napi_value toJs(Environment& environment, uint64_t value) {
  napi_value result = nullptr;
  if (static_cast<double>(value) <= kSafeInteger) {
    check(environment, napi_create_double(environment.env, static_cast<double>(value), &result));
  } else {
    check(environment, napi_create_bigint_uint64(environment.env, value, &result));
  }
  return result;
}

napi_value toJs(Environment& environment, double value) {
  napi_value result = nullptr;
  check(environment, napi_create_double(environment.env, value, &result));
  return result;
}

napi_value toJs(Environment& environment, const std::string& value) {
  napi_value result = nullptr;
  check(environment, napi_create_string_utf8(environment.env, value.data(), value.size(), &result));
  return result;
}

napi_value toJs(Environment& environment, at::IntArrayRef values) {
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, toJs(environment, values[i])));
  }
  return array;
}

napi_value toJs(Environment& environment, const std::vector<at::Tensor>& tensors) {
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, tensors.size(), &array));
  for (size_t i = 0; i < tensors.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, wrapTensor(environment, tensors[i])));
  }
  return array;
}

void setProperty(Environment& environment, napi_value object, const char* name, napi_value value) {
  check(environment, napi_set_named_property(environment.env, object, name, value));
}

}  // namespace levin
