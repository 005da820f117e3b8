// One generic call for every operator that libtorch registers: overload resolution by schema, conversion, boxed call.
#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <unordered_map>

#include "convert.h"

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
  std::vector<Overload> overloads;
};

// Names of all operators that have a schema, with their overload names; made once per process.
const std::unordered_map<std::string, std::vector<std::string>>& registeredNames() {
  static const auto table = [] {
    std::unordered_map<std::string, std::vector<std::string>> names;
    for (const c10::OperatorName& name : c10::Dispatcher::singleton().getAllOpNames()) {
      names[name.name].push_back(name.overload_name);
    }
    return names;
  }();
  return table;
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

// Forms that write into `out` come last, those with tensors before those with scalars; else by name, the unnamed one first.
int rank(const Overload& overload) {
  int score = 0;
  for (const ArgumentSlot& slot : overload.slots) {
    if (slot.written && slot.name != "self") score += 100;
    if (slot.kind == ArgumentKind::Scalar) score += 1;
  }
  return score;
}

size_t findPacket(const std::string& name) {
  std::lock_guard<std::mutex> lock(packetsMutex);
  auto known = packetIndex.find(name);
  if (known != packetIndex.end()) return known->second;
  auto registered = registeredNames().find(name);
  if (registered == registeredNames().end()) {
    throw ArgumentError("there is no operator named \"" + name + "\" in this libtorch; names look like \"aten::add\"");
  }
  auto packet = std::make_unique<Packet>();
  packet->name = name;
  std::vector<std::string> overloadNames = registered->second;
  std::sort(overloadNames.begin(), overloadNames.end());
  for (const std::string& overloadName : overloadNames) {
    std::optional<c10::OperatorHandle> handle =
        c10::Dispatcher::singleton().findSchema({name, overloadName});
    if (!handle || hasDimname(handle->schema())) continue;
    Overload overload(*handle);
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

// The arguments of one call: those by position, then names and values of the others.
struct Given {
  const napi_value* positional;
  size_t positionalCount;
  std::vector<std::string> names;
  std::vector<napi_value> values;
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

// Fills `stack` for this form; on failure `why` says what does not fit.
bool bindArguments(Environment& environment, const Overload& overload, const Given& given, bool lenient,
          std::vector<c10::IValue>& stack, std::string* why) {
  stack.clear();
  size_t count = given.positionalCount;
  while (count > 0 && count > overload.positional && isUndefined(environment, given.positional[count - 1])) count -= 1;
  bool spread = false;
  if (overload.listForRest && count > *overload.listForRest) {
    napi_valuetype type = napi_undefined;
    check(environment, napi_typeof(environment.env, given.positional[*overload.listForRest], &type));
    spread = count > *overload.listForRest + 1 || !overload.slots[*overload.listForRest].fixedLength;
    spread = spread && (type == napi_number || type == napi_bigint);
    // Further values must be numbers too: sum(1, true) is not a list of two.
    for (size_t i = *overload.listForRest + 1; spread && i < count; ++i) {
      check(environment, napi_typeof(environment.env, given.positional[i], &type));
      spread = type == napi_number || type == napi_bigint;
    }
  }
  if (!spread && count > overload.positional) {
    if (why != nullptr) {
      *why = "takes at most " + std::to_string(overload.positional) + " arguments by position, got " + std::to_string(count);
    }
    return false;
  }
  size_t used = 0;
  for (size_t i = 0; i < overload.slots.size(); ++i) {
    const ArgumentSlot& slot = overload.slots[i];
    c10::IValue converted;
    if (spread && i == *overload.listForRest) {
      c10::List<int64_t> list;
      for (size_t k = i; k < count; ++k) {
        ArgumentSlot element;
        element.kind = ArgumentKind::Int;
        if (!toIValue(environment, given.positional[k], element, lenient, converted)) {
          if (why != nullptr) *why = slot.jsName + " must be integers, got " + describe(environment, given.positional[k]);
          return false;
        }
        list.push_back(converted.toInt());
      }
      stack.emplace_back(std::move(list));
      continue;
    }
    napi_value value = nullptr;
    bool byPosition = i < count && !slot.keywordOnly && !(spread && i > *overload.listForRest);
    if (byPosition && !isUndefined(environment, given.positional[i])) value = given.positional[i];
    for (size_t k = 0; k < given.names.size(); ++k) {
      if (given.names[k] != slot.jsName) continue;
      used += 1;
      if (isUndefined(environment, given.values[k])) break;
      if (value != nullptr) {
        if (why != nullptr) *why = slot.jsName + " is given twice, by position and by name";
        return false;
      }
      value = given.values[k];
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
    if (!toIValue(environment, value, slot, lenient, converted)) {
      if (why != nullptr) *why = slot.jsName + " must be " + slot.typeName + ", got " + describe(environment, value);
      return false;
    }
    stack.push_back(std::move(converted));
  }
  if (used < given.names.size()) {
    if (why != nullptr) {
      for (const std::string& name : given.names) {
        bool known = std::any_of(overload.slots.begin(), overload.slots.end(),
                                 [&](const ArgumentSlot& slot) { return slot.jsName == name; });
        if (!known) {
          *why = "has no option \"" + name + "\"";
          break;
        }
      }
    }
    return false;
  }
  return true;
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
  for (size_t i = 0; i < given.names.size(); ++i) {
    message += (i > 0 || given.positionalCount > 0 ? ", " : "") + given.names[i] + ": " + describe(environment, given.values[i]);
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

// Whether the error in flight says that an allocation failed.
bool isOutOfMemory() {
  try {
    throw;
  } catch (const c10::OutOfMemoryError&) {
    return true;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const c10::Error& error) {
    // The CPU allocator reports it by a plain error.
    return std::string_view(error.what_without_backtrace()).find("can't allocate memory") != std::string_view::npos;
  } catch (...) {
    return false;
  }
}

// Calls the operator; after a failed allocation once more, with all garbage collected, unless it may have written something.
const Overload& run(Environment& environment, const Packet& packet, const Given& given, std::vector<c10::IValue>& stack) {
  const Overload& overload = resolve(environment, packet, given, stack);
  try {
    overload.handle.callBoxed(&stack);
    return overload;
  } catch (...) {
    if (overload.writes || !isOutOfMemory()) throw;
  }
  collectAll(environment);
  resolve(environment, packet, given, stack);
  overload.handle.callBoxed(&stack);
  return overload;
}

// call(operator, positionalCount, ...positional, name, value, ...): the result, or undefined where the operator gives back
// only what it has written to.
napi_value call(Environment& environment, const Arguments& arguments) {
  collectUnderPressure(environment);
  int64_t index = toInt(environment, arguments[0], "the operator");
  size_t positional = static_cast<size_t>(toInt(environment, arguments[1], "the number of arguments"));
  const Packet* packet = index >= 0 && index < static_cast<int64_t>(kMostPackets)
                             ? packets[static_cast<size_t>(index)].load(std::memory_order_acquire)
                             : nullptr;
  if (packet == nullptr) throw ArgumentError("there is no such operator");
  if (positional + 2 > arguments.count || (arguments.count - positional) % 2 != 0) {
    throw ArgumentError("the arguments of the call are not in the form that is expected");
  }
  Given given{arguments.values + 2, positional, {}, {}};
  for (size_t i = 2 + positional; i < arguments.count; i += 2) {
    given.names.push_back(toString(environment, arguments[i], "the name of an option"));
    given.values.push_back(arguments[i + 1]);
  }
  std::vector<c10::IValue> stack;
  stack.reserve(8);
  const Overload& overload = run(environment, *packet, given, stack);
  if (overload.returnsArgument || stack.empty()) return nullptr;
  if (stack.size() == 1) return fromIValue(environment, stack[0]);
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, stack.size(), &array));
  for (size_t i = 0; i < stack.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, fromIValue(environment, stack[i])));
  }
  return array;
}

// findOperator(name): the number by which call() knows the operator.
napi_value findOperator(Environment& environment, const Arguments& arguments) {
  return toJs(environment, static_cast<int64_t>(findPacket(toString(environment, arguments[0], "the operator's name"))));
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
