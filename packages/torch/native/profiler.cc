// The engine's profiler (kineto): started and stopped for the current thread, with its events as columns.
#include <ATen/DeviceAccelerator.h>
#include <ATen/record_function.h>
#include <torch/csrc/autograd/graph_task.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include <cstdlib>
#include <optional>
#include <unordered_map>

#include "convert.h"
#include "exchange.h"

namespace torch::autograd::profiler {
// Its header, kineto_shim.h, needs headers of kineto that are not found from libtorch's include folders.
TORCH_API void addMetadataJson(const std::string& key, const std::string& value);
}  // namespace torch::autograd::profiler

namespace levin {

namespace {

using torch::autograd::profiler::KinetoEvent;
using torch::autograd::profiler::ProfilerResult;
using torch::profiler::impl::ActivityType;
using torch::profiler::impl::ExperimentalConfig;
using torch::profiler::impl::ProfilerConfig;
using torch::profiler::impl::ProfilerState;

enum class Phase { Idle, Prepared, Running };

// Kineto is one for the process: only one thread may profile at a time.
std::mutex ownerMutex;
std::optional<std::thread::id> owner;

// What this thread profiles.
struct Session {
  Phase phase = Phase::Idle;
  std::optional<ProfilerConfig> config;
  std::set<ActivityType> activities;
  // Ranges that were begun and not ended. Their events lie in the profiler's memory, so that none may outlive it.
  std::unordered_map<int64_t, std::unique_ptr<at::RecordFunction>> ranges;
  int64_t nextRange = 1;
  // The JavaScript stacks of operators that JavaScript has called, in the order of their calls.
  std::shared_ptr<JsReference> captureStack;
  at::CallbackHandle stackCallback = at::INVALID_CALLBACK_HANDLE;
  int64_t depth = 0;
  std::vector<std::string> stacks;
};
thread_local Session session;

std::set<ActivityType> toActivities(Environment& environment, napi_value value) {
  std::set<ActivityType> activities;
  uint32_t length = arrayLength(environment, value, "profile: activities");
  for (uint32_t i = 0; i < length; ++i) {
    napi_value element = nullptr;
    check(environment, napi_get_element(environment.env, value, i, &element));
    std::string name = toString(environment, element, "profile: activities");
    if (name == "cpu") {
      activities.insert(ActivityType::CPU);
    } else if (name == "cuda") {
      activities.insert(ActivityType::CUDA);
    } else if (name == "xpu") {
      activities.insert(ActivityType::XPU);
    } else {
      throw ArgumentError("profile: activities are \"cpu\", \"cuda\" and \"xpu\", got \"" + name + "\"");
    }
  }
  if (activities.empty()) throw ArgumentError("profile: at least one activity is needed");
  return activities;
}

void requireOutsideBackward(Environment& environment, const char* what) {
  if (environment.exchange->serving == 0 && torch::autograd::get_current_graph_task_id() == -1) return;
  throw ArgumentError(std::string(what) + ": the profiler cannot be started or stopped in a hook of a backward pass that is running");
}

void own() {
  std::lock_guard<std::mutex> lock(ownerMutex);
  if (owner && *owner != std::this_thread::get_id()) {
    throw ArgumentError("profile: another thread of this process is being profiled; only one can be at a time");
  }
  owner = std::this_thread::get_id();
}

void disown() {
  std::lock_guard<std::mutex> lock(ownerMutex);
  owner.reset();
}

bool isOperator(const at::RecordFunction& function) { return function.scope() != at::RecordScope::USER_SCOPE; }

bool isOnJsThread(const Session& current) {
  return current.captureStack && std::this_thread::get_id() == current.captureStack->environment().thread;
}

// Keeps the JavaScript stack of what JavaScript calls: ranges, and operators that no other operator calls.
std::unique_ptr<at::ObserverContext> beginFunction(const at::RecordFunction& function) {
  Session& current = session;
  if (!isOnJsThread(current)) return nullptr;
  if (current.depth == 0) {
    Environment& environment = current.captureStack->environment();
    std::string stack;
    try {
      onJsThread(environment, [&] {
        stack = toString(environment, callFunction(environment, current.captureStack->value(), {}), "the stack");
      });
    } catch (...) {
      stack.clear();
    }
    current.stacks.push_back(std::move(stack));
  }
  if (isOperator(function)) current.depth += 1;
  return nullptr;
}

void endFunction(const at::RecordFunction& function, at::ObserverContext*) {
  Session& current = session;
  if (isOnJsThread(current) && isOperator(function) && current.depth > 0) current.depth -= 1;
}

void endRanges() { session.ranges.clear(); }

void removeStackCallback() {
  if (session.stackCallback != at::INVALID_CALLBACK_HANDLE) at::removeCallback(session.stackCallback);
  session.stackCallback = at::INVALID_CALLBACK_HANDLE;
  session.captureStack.reset();
  session.depth = 0;
}

void prepare() {
  // On a machine without accelerator kineto says on stderr that it found none, and when it starts and stops; in PyTorch, too.
  if (!at::accelerator::getAccelerator(false)) setenv("KINETO_LOG_LEVEL", "99", 0);
  torch::autograd::profiler::prepareProfiler(*session.config, session.activities);
  session.phase = Phase::Prepared;
}

void enable() {
  // A range that is open already has no event in the profiler that starts now.
  endRanges();
  torch::autograd::profiler::enableProfiler(*session.config, session.activities);
  session.phase = Phase::Running;
}

std::unique_ptr<ProfilerResult> disable() {
  endRanges();
  removeStackCallback();
  session.phase = Phase::Idle;
  std::unique_ptr<ProfilerResult> result;
  try {
    result = torch::autograd::profiler::disableProfiler();
  } catch (...) {
    disown();
    throw;
  }
  disown();
  return result;
}

// At the end of a JavaScript thread: kineto must not wait for a thread that is gone.
void abandon(void*) {
  try {
    if (session.phase == Phase::Prepared) enable();
    if (session.phase == Phase::Running) disable();
  } catch (...) {
  }
  endRanges();
}

void abandonAtExit(Environment& environment) {
  static thread_local bool registered = false;
  if (!registered) check(environment, napi_add_env_cleanup_hook(environment.env, abandon, nullptr));
  registered = true;
}

// prepareProfiler(activities, recordShapes, profileMemory, withFlops): warms the profiler up.
napi_value prepareProfiler(Environment& environment, const Arguments& arguments) {
  requireOutsideBackward(environment, "profile");
  if (session.phase != Phase::Idle) throw ArgumentError("profile: this thread is being profiled already; stop that first");
  std::set<ActivityType> activities = toActivities(environment, arguments[0]);
  ProfilerConfig config(ProfilerState::KINETO, toBool(environment, arguments[1], "profile: recordShapes"),
                        toBool(environment, arguments[2], "profile: profileMemory"), false,
                        toBool(environment, arguments[3], "profile: withFlops"), false);
  abandonAtExit(environment);
  own();
  session.config = config;
  session.activities = std::move(activities);
  try {
    prepare();
  } catch (...) {
    session.phase = Phase::Idle;
    disown();
    throw;
  }
  return nullptr;
}

// addTraceMetadata(key, json): an entry of the trace that is being recorded.
napi_value addTraceMetadata(Environment& environment, const Arguments& arguments) {
  if (session.phase != Phase::Running) throw ArgumentError("addMetadata: this thread is not being profiled");
  torch::autograd::profiler::addMetadataJson(toString(environment, arguments[0], "addMetadata: key"),
                                             toString(environment, arguments[1], "addMetadata: value"));
  return nullptr;
}

// startProfiler(captureStack | null): records from now on.
napi_value startProfiler(Environment& environment, const Arguments& arguments) {
  requireOutsideBackward(environment, "profile");
  if (session.phase != Phase::Prepared) throw ArgumentError("profile: the profiler is not prepared, or runs already");
  session.stacks.clear();
  try {
    enable();
  } catch (...) {
    session.phase = Phase::Idle;
    disown();
    throw;
  }
  if (!isNullish(environment, arguments[0])) {
    session.captureStack = std::make_shared<JsReference>(environment, arguments[0]);
    session.stackCallback = at::addThreadLocalCallback(at::RecordFunctionCallback(beginFunction, endFunction));
  }
  return nullptr;
}

constexpr size_t kColumns = 15;

// Not all versions of libtorch have it.
template <typename Event>
bool isHidden(const Event& event) {
  if constexpr (requires { event.isHiddenEvent(); }) {
    return event.isHiddenEvent();
  } else {
    return false;
  }
}

void writeColumns(const KinetoEvent& event, int64_t start, double* column) {
  column[0] = static_cast<double>(static_cast<int64_t>(event.startNs()) - start);
  column[1] = static_cast<double>(static_cast<int64_t>(event.endNs()) - start);
  column[2] = static_cast<double>(event.startThreadId());
  column[3] = static_cast<double>(event.endThreadId());
  column[4] = static_cast<double>(event.fwdThreadId());
  column[5] = static_cast<double>(event.deviceIndex());
  column[6] = static_cast<double>(event.correlationId());
  column[7] = static_cast<double>(event.linkedCorrelationId());
  column[8] = static_cast<double>(event.sequenceNr());
  column[9] = static_cast<double>(event.scope());
  column[10] = static_cast<double>(event.flops());
  column[11] = static_cast<double>(event.nBytes());
  column[12] = event.isAsync() ? 1 : 0;
  column[13] = isHidden(event) ? 1 : 0;
  column[14] = static_cast<double>(event.activityType());
}

napi_value shapesOf(Environment& environment, const KinetoEvent& event) {
  napi_value shapes = nullptr;
  check(environment, napi_create_array(environment.env, &shapes));
  uint32_t i = 0;
  for (const std::vector<int64_t>& shape : event.shapes()) {
    check(environment, napi_set_element(environment.env, shapes, i++, toJs(environment, at::IntArrayRef(shape))));
  }
  return shapes;
}

template <typename Make>
napi_value arrayOf(Environment& environment, size_t length, const Make& make) {
  napi_value array = nullptr;
  check(environment, napi_create_array_with_length(environment.env, length, &array));
  for (size_t i = 0; i < length; ++i) {
    check(environment, napi_set_element(environment.env, array, static_cast<uint32_t>(i), make(i)));
  }
  return array;
}

const napi_type_tag kTraceTag = {0x6c65766e5f747261, 0x63655f6b696e6574};

// The trace, to be saved later: an object that holds the result.
napi_value wrapTrace(Environment& environment, std::unique_ptr<ProfilerResult> result) {
  napi_value trace = nullptr;
  check(environment, napi_create_object(environment.env, &trace));
  check(environment, napi_type_tag_object(environment.env, trace, &kTraceTag));
  auto release = [](node_api_nogc_env, void* data, void*) { delete static_cast<ProfilerResult*>(data); };
  check(environment, napi_wrap(environment.env, trace, result.get(), release, nullptr, nullptr));
  result.release();
  return trace;
}

// stopProfiler(): { trace, thread, names, columns, devices, shapes, stacks }, or null where it was prepared only.
napi_value stopProfiler(Environment& environment, const Arguments&) {
  requireOutsideBackward(environment, "profile");
  if (session.phase == Phase::Idle) throw ArgumentError("profile: this thread is not being profiled; start that first");
  bool recorded = session.phase == Phase::Running;
  if (!recorded) enable();
  std::unique_ptr<ProfilerResult> result = disable();
  if (!recorded) return wrapTensor(environment, at::Tensor());
  const std::vector<KinetoEvent>& events = result->events();
  auto start = static_cast<int64_t>(result->trace_start_ns());
  void* data = nullptr;
  napi_value buffer = nullptr;
  size_t count = events.size() * kColumns;
  check(environment, napi_create_arraybuffer(environment.env, count * sizeof(double), &data, &buffer));
  for (size_t i = 0; i < events.size(); ++i) writeColumns(events[i], start, static_cast<double*>(data) + i * kColumns);
  napi_value columns = nullptr;
  check(environment, napi_create_typedarray(environment.env, napi_float64_array, count, buffer, 0, &columns));
  napi_value object = nullptr;
  check(environment, napi_create_object(environment.env, &object));
  setProperty(environment, object, "thread", toJs(environment, static_cast<int64_t>(at::RecordFunction::currentThreadId())));
  setProperty(environment, object, "columns", columns);
  setProperty(environment, object, "names",
              arrayOf(environment, events.size(), [&](size_t i) { return toJs(environment, events[i].name()); }));
  setProperty(environment, object, "devices", arrayOf(environment, events.size(), [&](size_t i) {
                return toJs(environment, c10::DeviceTypeName(events[i].deviceType(), true));
              }));
  if (session.config->report_input_shapes) {
    setProperty(environment, object, "shapes",
                arrayOf(environment, events.size(), [&](size_t i) { return shapesOf(environment, events[i]); }));
  }
  setProperty(environment, object, "stacks", arrayOf(environment, session.stacks.size(), [&](size_t i) {
                return toJs(environment, session.stacks[i]);
              }));
  session.stacks.clear();
  setProperty(environment, object, "trace", wrapTrace(environment, std::move(result)));
  return object;
}

// saveTrace(trace, path): writes the trace; only once, since kineto gives it away.
napi_value saveTrace(Environment& environment, const Arguments& arguments) {
  bool isTrace = false;
  napi_valuetype type = napi_undefined;
  if (arguments[0] != nullptr) check(environment, napi_typeof(environment.env, arguments[0], &type));
  if (type == napi_object) {
    check(environment, napi_check_object_type_tag(environment.env, arguments[0], &kTraceTag, &isTrace));
  }
  if (!isTrace) throw ArgumentError("saveTrace: a trace is required");
  void* data = nullptr;
  check(environment, napi_unwrap(environment.env, arguments[0], &data));
  static_cast<ProfilerResult*>(data)->save(toString(environment, arguments[1], "exportChromeTrace: path"));
  return nullptr;
}

// beginRange(name): the number of a range that appears among the events, 0 where nothing is recorded.
napi_value beginRange(Environment& environment, const Arguments& arguments) {
  std::string name = toString(environment, arguments[0], "recordFunction: name");
  auto range = std::make_unique<at::RecordFunction>(at::RecordScope::USER_SCOPE);
  if (!range->isActive()) return toJs(environment, static_cast<int64_t>(0));
  range->before(at::RecordFunction::FunctionDescriptor(std::string_view(name)));
  int64_t number = session.nextRange++;
  session.ranges.emplace(number, std::move(range));
  return toJs(environment, number);
}

// endRange(number): does nothing where the range has ended with the profiler.
napi_value endRange(Environment& environment, const Arguments& arguments) {
  session.ranges.erase(toInt(environment, arguments[0], "recordFunction: the range"));
  return nullptr;
}

}  // namespace

std::vector<Export> profilerExports() {
  return {{"prepareProfiler", guarded<prepareProfiler>}, {"startProfiler", guarded<startProfiler>},
          {"stopProfiler", guarded<stopProfiler>},       {"addTraceMetadata", guarded<addTraceMetadata>},
          {"saveTrace", guarded<saveTrace>},             {"beginRange", guarded<beginRange>},
          {"endRange", guarded<endRange>}};
}

}  // namespace levin
