// One generic call for every operator that libtorch registers: overload resolution by schema, conversion, boxed call.
#include <ATen/EmptyTensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <unordered_map>
#include <unordered_set>

#include "convert.h"
#include "guards.h"

namespace levin {

namespace {

struct Overload {
  c10::OperatorHandle handle;
  std::vector<ArgumentSlot> slots;
  size_t positional = 0;              // arguments that may be given by position
  std::optional<size_t> listForRest;  // the one integer list whose elements may be given one by one: x.view(2, 3)
  bool returnsArgument = false;       // returns only arguments it has written to
  bool writes = false;
  bool supported = true;

  explicit Overload(c10::OperatorHandle operatorHandle) : handle(std::move(operatorHandle)) {
    const c10::FunctionSchema& schema = handle.schema();
    for (const c10::Argument& argument : schema.arguments()) {
      slots.push_back(makeSlot(argument));
      const ArgumentSlot& slot = slots.back();
      writes = writes || slot.written;
      if (!slot.keywordOnly) positional += 1;
      if (slot.kind == ArgumentKind::Unsupported && !slot.optional && !slot.defaultValue) supported = false;
    }
    std::vector<size_t> lists;
    size_t others = 0;
    for (size_t i = 0; i < positional; ++i) {
      if (slots[i].kind == ArgumentKind::IntList) {
        lists.push_back(i);
      } else if (slots[i].name != "self" && !slots[i].defaultValue) {
        others += 1;
      }
    }
    if (lists.size() == 1 && others == 0 && lists[0] <= 1) listForRest = lists[0];
    returnsArgument = !schema.returns().empty();
    for (const c10::Argument& result : schema.returns()) {
      if (result.alias_info() == nullptr || !result.alias_info()->isWrite()) returnsArgument = false;
    }
  }
};

struct Packet {
  std::string name;
  Guard guard = nullptr;
  std::vector<Overload> overloads;
};

using OperatorNames = std::unordered_map<std::string, std::vector<std::string>>;

// Names of all operators that have a schema, with their overload names.
OperatorNames registeredNames() {
  OperatorNames names;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    names[name.name].push_back(name.overload_name);
  }
  return names;
}

// Packets are only ever added: a call reads its own without a lock.
constexpr size_t kMostPackets = 16384;
std::mutex packetsMutex;
std::array<std::atomic<Packet*>, kMostPackets> packets;
size_t packetCount = 0;
std::unordered_map<std::string, size_t> packetIndex;

bool hasDimname(const c10::FunctionSchema& schema) {
  for (const c10::Argument& argument : schema.arguments()) {
    if (argument.type()->str().find("Dimname") != std::string::npos) return true;
  }
  return false;
}

// Forms that write into `out` come last, those with tensors before those with scalars, those with a number before those with a
// list that a number may stand for; else by name, the unnamed one first.
int rank(const Overload& overload) {
  int score = 0;
  for (const ArgumentSlot& slot : overload.slots) {
    if (slot.written && slot.name != "self") score += 100;
    if (slot.kind == ArgumentKind::Scalar) score += 1;
  }
  if (overload.listForRest) score += 1;
  return score;
}

// The operators for which PyTorch makes a tensor of a number: the graph then has the node for two tensors.
bool takesNumbersAsTensors(const std::string& name) {
  static const std::unordered_set<std::string> names = {"add",        "sub",        "mul",    "div",
                                                        "subtract",   "multiply",   "divide", "true_divide",
                                                        "floor_divide"};
  if (name.rfind("aten::", 0) != 0) return false;
  std::string own = name.substr(6);
  if (own.back() == '_') own.pop_back();
  return names.count(own) > 0;
}

// A number that is calculated with a floating-point tensor on the CPU, as a tensor of that one's type, so that the operator need not convert it.
// Programs calculate with the same numbers again and again, and nobody else sees the tensor: it is kept. Null for anything else.
const at::Tensor* keptNumber(Environment& environment, const at::Tensor& self, napi_value value) {
  at::ScalarType dtype = self.scalar_type();
  if ((dtype != at::kFloat && dtype != at::kDouble) || !self.is_cpu()) return nullptr;
  double number = 0;
  if (napi_get_value_double(environment.env, value, &number) != napi_ok) return nullptr;
  struct Kept {
    uint64_t bits = 0;
    at::Tensor tensor;
  };
  constexpr size_t kMost = 256;  // a power of two
  thread_local std::array<Kept, kMost> kept;
  uint64_t bits = std::bit_cast<uint64_t>(number);
  uint64_t mixed = (bits ^ (dtype == at::kDouble ? 1 : 0)) * 0x9e3779b97f4a7c15;
  Kept& entry = kept[mixed >> 56];
  if (!entry.tensor.defined() || entry.bits != bits || entry.tensor.scalar_type() != dtype) {
    c10::InferenceMode guard(false);
    at::Tensor tensor = at::detail::empty_cpu(at::IntArrayRef{}, dtype);
    if (dtype == at::kDouble) {
      *tensor.mutable_data_ptr<double>() = number;
    } else {
      *tensor.mutable_data_ptr<float>() = static_cast<float>(number);
    }
    tensor.unsafeGetTensorImpl()->set_wrapped_number(true);
    entry = {bits, std::move(tensor)};
  }
  return &entry.tensor;
}

size_t findPacket(const std::string& name) {
  std::lock_guard<std::mutex> lock(packetsMutex);
  auto known = packetIndex.find(name);
  if (known != packetIndex.end()) return known->second;
  static OperatorNames names = registeredNames();
  auto registered = names.find(name);
  if (registered == names.end()) {
    names = registeredNames();  // a library that was loaded since may have brought it
    registered = names.find(name);
  }
  if (registered == names.end()) {
    throw ArgumentError("there is no operator named \"" + name + "\" in this libtorch; names look like \"aten::add\"");
  }
  auto packet = std::make_unique<Packet>();
  packet->name = name;
  packet->guard = findGuard(name);
  std::vector<std::string> overloadNames = registered->second;
  std::sort(overloadNames.begin(), overloadNames.end());
  for (const std::string& overloadName : overloadNames) {
    std::optional<c10::OperatorHandle> handle =
        c10::Dispatcher::singleton().findSchema({name, overloadName});
    if (!handle || hasDimname(handle->schema())) continue;
    Overload overload(*handle);
    if (takesNumbersAsTensors(name) && overload.slots.size() > 1) overload.slots[1].takesNumbers = true;
    if (overload.supported) packet->overloads.push_back(std::move(overload));
  }
  if (packet->overloads.empty()) {
    throw ArgumentError("the operator \"" + name + "\" has no form that can be called from JavaScript");
  }
  std::stable_sort(packet->overloads.begin(), packet->overloads.end(),
                   [](const Overload& a, const Overload& b) { return rank(a) < rank(b); });
  if (packetCount == kMostPackets) throw std::runtime_error("too many operators");
  packets[packetCount].store(packet.release(), std::memory_order_release);
  packetIndex.emplace(name, packetCount);
  return packetCount++;
}

// An argument that is given by its name.
struct Option {
  char name[48];  // longer ones are no operator's
  napi_value value;
};

// The arguments of one call: those by position, then the others.
struct Given {
  const napi_value* positional;
  size_t positionalCount;
  const Option* options;
  size_t optionCount;
};

std::string signature(const std::string& name, const Overload& overload) {
  std::string text = name.substr(name.find(':') + 2) + "(";
  bool keywords = false;
  for (size_t i = 0; i < overload.slots.size(); ++i) {
    const ArgumentSlot& slot = overload.slots[i];
    if (i > 0) text += ", ";
    if (slot.keywordOnly && !keywords) {
      keywords = true;
      text += "{ ";
    }
    text += slot.jsName + (slot.defaultValue ? "?: " : ": ") + slot.typeName;
  }
  return text + (keywords ? " })" : ")");
}

// How many of the values given by position belong to the one list of integers that may be given number by number, from
// `first` on; 0 where they are not given that way.
size_t spreadLength(Environment& environment, const Overload& overload, const Given& given, size_t count) {
  if (!overload.listForRest || count <= *overload.listForRest) return 0;
  size_t first = *overload.listForRest;
  // One number for a list of fixed length stands for all of them.
  if (count == first + 1 && overload.slots[first].fixedLength) return 0;
  for (size_t i = first; i < count; ++i) {
    napi_valuetype type = napi_undefined;
    check(environment, napi_typeof(environment.env, given.positional[i], &type));
    if (type != napi_number && type != napi_bigint) return 0;
  }
  return count - first;
}

// Fills `stack` for this form; on failure `why` says what does not fit.
bool bindArguments(Environment& environment, const Overload& overload, const Given& given, bool lenient,
                   std::vector<c10::IValue>& stack, std::string* why) {
  static const ArgumentSlot integer = [] {
    ArgumentSlot slot;
    slot.kind = ArgumentKind::Int;
    return slot;
  }();
  stack.clear();
  size_t count = given.positionalCount;
  while (count > overload.positional && isUndefined(environment, given.positional[count - 1])) count -= 1;
  size_t spread = spreadLength(environment, overload, given, count);
  if (spread == 0 && count > overload.positional) {
    if (why != nullptr) {
      *why = "takes at most " + std::to_string(overload.positional) + " arguments by position, got " + std::to_string(count);
    }
    return false;
  }
  size_t used = 0;
  for (size_t i = 0; i < overload.slots.size(); ++i) {
    const ArgumentSlot& slot = overload.slots[i];
    if (spread > 0 && i == *overload.listForRest) {
      c10::List<int64_t> list;
      c10::IValue converted;
      for (size_t k = i; k < count; ++k) {
        if (!toIValue(environment, given.positional[k], integer, lenient, converted)) {
          if (why != nullptr) *why = slot.jsName + " must be integers, got " + describe(environment, given.positional[k]);
          return false;
        }
        list.push_back(converted.toInt());
      }
      stack.emplace_back(std::move(list));
      continue;
    }
    napi_value value = nullptr;
    if (i < count && !slot.keywordOnly && (spread == 0 || i < *overload.listForRest)) {
      value = given.positional[i];
      if (slot.kind == ArgumentKind::Tensor) {
        // The common case needs no look at what else it could be.
        if (const at::Tensor* tensor = findTensor(environment, value)) {
          stack.emplace_back(*tensor);
          continue;
        }
      }
      if (isUndefined(environment, value)) value = nullptr;
    }
    for (size_t k = 0; k < given.optionCount; ++k) {
      const Option& option = given.options[k];
      if (slot.jsName != option.name) continue;
      used += 1;
      if (isUndefined(environment, option.value)) break;
      if (value != nullptr) {
        if (why != nullptr) *why = slot.jsName + " is given twice, by position and by name";
        return false;
      }
      value = option.value;
      break;
    }
    if (value == nullptr) {
      if (slot.defaultValue) {
        stack.push_back(*slot.defaultValue);
      } else if (slot.optional && slot.keywordOnly) {
        stack.emplace_back();
      } else {
        if (why != nullptr) *why = slot.jsName + " is missing";
        return false;
      }
      continue;
    }
    if (slot.takesNumbers && i > 0 && stack[0].isTensor()) {
      if (const at::Tensor* number = keptNumber(environment, stack[0].toTensor(), value)) {
        stack.emplace_back(*number);
        continue;
      }
    }
    if (!toIValue(environment, value, slot, lenient, stack.emplace_back())) {
      if (why != nullptr) *why = slot.jsName + " must be " + slot.typeName + ", got " + describe(environment, value);
      return false;
    }
  }
  if (used == given.optionCount) return true;
  for (size_t k = 0; why != nullptr && k < given.optionCount; ++k) {
    const char* name = given.options[k].name;
    auto isIt = [&](const ArgumentSlot& slot) { return slot.jsName == name; };
    auto slot = std::find_if(overload.slots.begin(), overload.slots.end(), isIt);
    if (slot == overload.slots.end()) {
      *why = std::string("has no option \"") + name + "\"";
      break;
    }
    if (static_cast<size_t>(slot - overload.slots.begin()) < count) *why = slot->jsName + " is given twice, by position and by name";
  }
  return false;
}

[[noreturn]] void noForm(Environment& environment, const Packet& packet, const Given& given) {
  std::vector<c10::IValue> stack;
  std::string why;
  std::string name = packet.name.substr(packet.name.find(':') + 2);
  size_t shown = 0;
  for (const Overload& overload : packet.overloads) {
    if (rank(overload) < 100) shown += 1;
  }
  if (shown == 1) {
    bindArguments(environment, packet.overloads[0], given, true, stack, &why);
    throw ArgumentError(name + ": " + why + "; its form is " + signature(packet.name, packet.overloads[0]));
  }
  std::string message = name + "(";
  for (size_t i = 0; i < given.positionalCount; ++i) {
    message += (i > 0 ? ", " : "") + describe(environment, given.positional[i]);
  }
  for (size_t i = 0; i < given.optionCount; ++i) {
    const Option& option = given.options[i];
    message += std::string(i > 0 || given.positionalCount > 0 ? ", " : "") + option.name + ": " + describe(environment, option.value);
  }
  message += ") fits none of the forms of " + name + ":";
  for (const Overload& overload : packet.overloads) {
    if (rank(overload) >= 100) continue;
    bindArguments(environment, overload, given, true, stack, &why);
    message += "\n  " + signature(packet.name, overload) + ": " + why;
  }
  throw ArgumentError(message);
}

const Overload& resolve(Environment& environment, const Packet& packet, const Given& given, std::vector<c10::IValue>& stack) {
  for (bool lenient : {false, true}) {
    for (const Overload& overload : packet.overloads) {
      if (bindArguments(environment, overload, given, lenient, stack, nullptr)) return overload;
    }
  }
  noForm(environment, packet, given);
}

// Calls the operator; after a failed allocation once more, with all garbage collected, unless it may have written something.
const Overload& run(Environment& environment, const Packet& packet, const Given& given, std::vector<c10::IValue>& stack) {
  const Overload& overload = resolve(environment, packet, given, stack);
  if (packet.guard != nullptr) packet.guard(stack);
  try {
    overload.handle.callBoxed(&stack);
    return overload;
  } catch (...) {
    if (overload.writes || !isOutOfMemory()) throw;
  }
  collectAll(environment);
  const Overload& again = resolve(environment, packet, given, stack);
  again.handle.callBoxed(&stack);
  return again;
}

napi_value toArray(Environment& environment, const std::vector<c10::IValue>& values) {
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, fromIValue(environment, values[i])));
  }
  return array;
}

// An operator's number leaves room for that of the arguments by position, so that a call gives both as one.
constexpr uint32_t kPositionalBits = 7;
static_assert(Arguments::kMost < (1 << kPositionalBits));

// call(operator + positionalCount, ...positional, name, value, ...): the result, or undefined where the operator gives back
// only what it has written to.
napi_value call(Environment& environment, const Arguments& arguments) {
  collectUnderPressure(environment);
  uint32_t number = 0;
  if (arguments.count < 1 || napi_get_value_uint32(environment.env, arguments.values[0], &number) != napi_ok) {
    throw ArgumentError("the arguments of the call are not in the form that is expected");
  }
  uint32_t index = number >> kPositionalBits;
  uint32_t positional = number & ((1 << kPositionalBits) - 1);
  size_t given = arguments.count - 1;
  if (positional > given || (given - positional) % 2 != 0) {
    throw ArgumentError("the arguments of the call are not in the form that is expected");
  }
  const Packet* packet = index < kMostPackets ? packets[index].load(std::memory_order_acquire) : nullptr;
  if (packet == nullptr) throw ArgumentError("there is no such operator");
  Option options[Arguments::kMost / 2];
  size_t optionCount = 0;
  for (size_t i = 1 + positional; i < arguments.count; i += 2) {
    Option& option = options[optionCount++];
    if (napi_get_value_string_utf8(environment.env, arguments.values[i], option.name, sizeof(option.name), nullptr) != napi_ok) {
      throw ArgumentError("the name of an option must be a string");
    }
    option.value = arguments.values[i + 1];
  }
  Given values{arguments.values + 1, positional, options, optionCount};
  // The memory is taken over: reading an argument may run code that calls operators itself.
  std::vector<c10::IValue> stack = std::move(environment.spareStack);
  const Overload& overload = run(environment, *packet, values, stack);
  napi_value result = nullptr;
  if (!overload.returnsArgument && !stack.empty()) {
    result = stack.size() == 1 ? fromIValue(environment, stack[0]) : toArray(environment, stack);
  }
  stack.clear();
  environment.spareStack = std::move(stack);
  return result;
}

// findOperator(name): the number by which call() knows the operator.
napi_value findOperator(Environment& environment, const Arguments& arguments) {
  size_t index = findPacket(toString(environment, arguments[0], "the operator's name"));
  return toJs(environment, static_cast<int64_t>(index << kPositionalBits));
}

// schemas(): the text of every registered schema, for the generator of the typed functions.
napi_value schemas(Environment& environment, const Arguments&) {
  napi_value array = nullptr;
  check(environment, napi_create_array(environment.env, &array));
  uint32_t i = 0;
  for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
    std::optional<c10::OperatorHandle> handle = c10::Dispatcher::singleton().findSchema(name);
    if (!handle) continue;
    check(environment, napi_set_element(environment.env, array, i++, toJs(environment, toString(handle->schema()))));
  }
  return array;
}

}  // namespace

std::vector<Export> dispatchExports() {
  return {{"call", guarded<call>}, {"findOperator", guarded<findOperator>}, {"schemas", guarded<schemas>}};
}

}  // namespace levin
