// Watching which operators run, and on tensors of which shapes.
#include <ATen/record_function.h>

#include <unordered_set>

#include "convert.h"

namespace levin {

namespace {

struct Call {
  std::string name;
  // Per argument: the shape of a tensor, a boolean, or nothing for all else.
  std::vector<c10::IValue> inputs;
  std::vector<c10::IValue> outputs;
};

struct Recording {
  at::CallbackHandle handle = at::INVALID_CALLBACK_HANDLE;
  std::unordered_set<std::string> names;
  std::vector<Call> calls;
  int depth = 0;  // within how many of the named operators the thread is
};

thread_local std::unique_ptr<Recording> recording;

struct Context : at::ObserverContext {};

template <class Values>
std::vector<c10::IValue> summarize(const Values& values) {
  std::vector<c10::IValue> kept;
  for (const c10::IValue& value : values) {
    if (value.isTensor()) {
      kept.emplace_back(value.toTensor().defined() ? c10::IValue(value.toTensor().sizes().vec()) : c10::IValue());
    } else if (value.isBool()) {
      kept.push_back(value);
    } else if (value.isBoolList()) {
      kept.emplace_back(value.toBoolList());
    } else {
      kept.emplace_back();
    }
  }
  return kept;
}

// Only the outermost of the named operators count: what they call themselves is part of their work.
std::unique_ptr<at::ObserverContext> onStart(const at::RecordFunction& function) {
  if (!recording || recording->names.count(function.name()) == 0) return nullptr;
  if (recording->depth++ == 0) recording->calls.push_back({function.name(), summarize(function.inputs()), {}});
  return std::make_unique<Context>();
}

void onEnd(const at::RecordFunction& function, at::ObserverContext* context) {
  if (context == nullptr || !recording || recording->depth == 0) return;
  if (--recording->depth == 0 && !recording->calls.empty()) recording->calls.back().outputs = summarize(function.outputs());
}

napi_value toJsArray(Environment& environment, const std::vector<c10::IValue>& values) {
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, values.size(), &array));
  for (size_t i = 0; i < values.size(); ++i) {
    check(environment, napi_set_element(environment.env, array, i, fromIValue(environment, values[i])));
  }
  return array;
}

// recordCalls(names): from now on keeps the calls of these operators ("aten::mm") on this thread; null ends it.
napi_value recordCalls(Environment& environment, const Arguments& arguments) {
  if (recording) {
    at::removeCallback(recording->handle);
    recording.reset();
  }
  if (isNullish(environment, arguments[0])) return nullptr;
  auto started = std::make_unique<Recording>();
  uint32_t count = arrayLength(environment, arguments[0], "recordCalls: names");
  for (uint32_t i = 0; i < count; ++i) {
    napi_value name = nullptr;
    check(environment, napi_get_element(environment.env, arguments[0], i, &name));
    started->names.insert(toString(environment, name, "recordCalls: names"));
  }
  started->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(onStart, onEnd).needsInputs(true).needsOutputs(true).scopes({at::RecordScope::FUNCTION}));
  recording = std::move(started);
  return nullptr;
}

// takeCalls(): the calls since recordCalls or the last takeCalls, as [name, inputs, outputs] each.
napi_value takeCalls(Environment& environment, const Arguments&) {
  std::vector<Call> calls;
  if (recording) calls.swap(recording->calls);
  napi_value result = nullptr;
  check(environment, napi_create_array_with_length(environment.env, calls.size(), &result));
  for (size_t i = 0; i < calls.size(); ++i) {
    napi_value call = nullptr;
    check(environment, napi_create_array_with_length(environment.env, 3, &call));
    check(environment, napi_set_element(environment.env, call, 0, toJs(environment, calls[i].name)));
    check(environment, napi_set_element(environment.env, call, 1, toJsArray(environment, calls[i].inputs)));
    check(environment, napi_set_element(environment.env, call, 2, toJsArray(environment, calls[i].outputs)));
    check(environment, napi_set_element(environment.env, result, i, call));
  }
  return result;
}

}  // namespace

std::vector<Export> observeExports() {
  return {{"recordCalls", guarded<recordCalls>}, {"takeCalls", guarded<takeCalls>}};
}

}  // namespace levin
