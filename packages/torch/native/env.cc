#include "convert.h"

#include <c10/util/Exception.h>
#include <c10/util/env.h>

#include <unordered_set>

#include "engine.h"
#include "exchange.h"
#include "handle.h"

namespace levin {

namespace {

std::mutex aliveMutex;
std::unordered_set<int64_t> aliveEnvironments;
int64_t environmentCount = 0;

napi_value makeString(napi_env env, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  return value;
}

void throwAs(Environment& environment, napi_ref constructor, const std::string& message, const char* kind,
             const std::string& details) noexcept {
  napi_env env = environment.env;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) return;
  napi_value function = nullptr;
  if (constructor != nullptr) napi_get_reference_value(env, constructor, &function);
  if (function == nullptr) {
    napi_throw_error(env, nullptr, message.c_str());
    return;
  }
  napi_value arguments[3] = {makeString(env, message), makeString(env, kind), makeString(env, details)};
  napi_value error = nullptr;
  if (napi_new_instance(env, function, 3, arguments, &error) == napi_ok) {
    napi_throw(env, error);
  } else {
    napi_is_exception_pending(env, &pending);
    if (!pending) napi_throw_error(env, nullptr, message.c_str());
  }
}

}  // namespace

Environment::Environment(napi_env env)
    : env(env), thread(std::this_thread::get_id()), exchange(std::make_unique<Exchange>()) {}

Environment::~Environment() { returnHandles(*this); }

void Environment::deleteDropped() {
  std::vector<napi_ref> references;
  {
    std::lock_guard<std::mutex> lock(mutex);
    references.swap(dropped);
  }
  for (napi_ref reference : references) napi_delete_reference(env, reference);
}

HandleScope::HandleScope(Environment& environment) : env_(environment.env) {
  check(environment, napi_open_handle_scope(env_, &scope_));
}

HandleScope::~HandleScope() { napi_close_handle_scope(env_, scope_); }

JsReference::JsReference(Environment& environment, napi_value value, Kind kind)
    : environment_(environment.shared_from_this()) {
  environment.deleteDropped();
  check(environment, napi_create_reference(environment.env, value, kind == Kind::Strong ? 1 : 0, &reference_));
}

JsReference::~JsReference() {
  std::lock_guard<std::mutex> lock(environment_->mutex);
  if (!environment_->closed) environment_->dropped.push_back(reference_);
}

napi_value JsReference::value() const {
  napi_value value = nullptr;
  check(*environment_, napi_get_reference_value(environment_->env, reference_, &value));
  return value;
}

Environment& JsReference::environment() const { return *environment_; }

void check(Environment& environment, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(environment.env, &pending);
  if (pending) {
    napi_value thrown = nullptr;
    napi_get_and_clear_last_exception(environment.env, &thrown);
    throw JsException(std::make_shared<JsReference>(environment, thrown));
  }
  const napi_extended_error_info* info = nullptr;
  napi_get_last_error_info(environment.env, &info);
  throw std::runtime_error(std::string("Node-API: ") +
                           (info != nullptr && info->error_message != nullptr ? info->error_message : "unknown error"));
}

napi_value callFunction(Environment& environment, napi_value function, const std::vector<napi_value>& arguments) {
  napi_value receiver = nullptr;
  napi_value result = nullptr;
  check(environment, napi_get_undefined(environment.env, &receiver));
  check(environment, napi_call_function(environment.env, receiver, function, arguments.size(), arguments.data(), &result));
  return result;
}

namespace {

void throwAs(Environment& environment, const c10::Error& error, const char* kind) noexcept {
  // To name the functions on the stack takes milliseconds: only where PyTorch's own switch asks for it.
  static const bool wanted = c10::utils::check_env("TORCH_SHOW_CPP_STACKTRACES") == true;
  throwAs(environment, environment.operatorError, error.what_without_backtrace(), kind, wanted ? error.what() : "");
}

}  // namespace

void throwCurrent(Environment& environment) noexcept {
  try {
    try {
      throw;
    } catch (const JsException& exception) {
      if (&exception.thrown->environment() == &environment) {
        napi_throw(environment.env, exception.thrown->value());
      } else {
        // The value belongs to another JavaScript thread, which shares this graph.
        throwAs(environment, environment.operatorError, "a hook of another thread threw an exception", "RuntimeError", "");
      }
    } catch (const ArgumentError& error) {
      throwAs(environment, environment.argumentError, error.what(), "ArgumentError", "");
    } catch (const DisposedError& error) {
      throwAs(environment, environment.disposedError, error.what(), "DisposedError", "");
    } catch (const c10::OutOfMemoryError& error) {
      throwAs(environment, error, "OutOfMemoryError");
    } catch (const c10::IndexError& error) {
      throwAs(environment, error, "IndexError");
    } catch (const c10::ValueError& error) {
      throwAs(environment, error, "ValueError");
    } catch (const c10::TypeError& error) {
      throwAs(environment, error, "TypeError");
    } catch (const c10::NotImplementedError& error) {
      throwAs(environment, error, "NotImplementedError");
    } catch (const c10::LinAlgError& error) {
      throwAs(environment, error, "LinAlgError");
    } catch (const c10::Error& error) {
      throwAs(environment, error, "RuntimeError");
    } catch (const std::bad_alloc&) {
      throwAs(environment, environment.operatorError, "out of memory", "OutOfMemoryError", "");
    } catch (const std::exception& error) {
      throwAs(environment, environment.operatorError, error.what(), "RuntimeError", "");
    } catch (...) {
      throwAs(environment, environment.operatorError, "unknown native error", "RuntimeError", "");
    }
  } catch (...) {
    napi_throw_error(environment.env, nullptr, "native error while reporting an error");
  }
}

namespace {

// initialize(ArgumentError, OperatorError, DisposedError, collectGarbage)
napi_value initialize(Environment& environment, const Arguments& arguments) {
  napi_ref* slots[] = {&environment.argumentError, &environment.operatorError, &environment.disposedError,
                       &environment.collectGarbage};
  for (size_t i = 0; i < 4; ++i) {
    napi_valuetype type = napi_undefined;
    if (arguments[i] != nullptr) check(environment, napi_typeof(environment.env, arguments[i], &type));
    if (type != napi_function) throw ArgumentError("initialize: four functions are required");
    if (*slots[i] != nullptr) napi_delete_reference(environment.env, *slots[i]);
    check(environment, napi_create_reference(environment.env, arguments[i], 1, slots[i]));
  }
  return nullptr;
}

// threadId(): the number of this thread among those that loaded the addon, from 1.
napi_value threadId(Environment& environment, const Arguments&) { return toJs(environment, environment.id); }

// isThreadAlive(id): whether the thread of that number still runs. Unlike Node's events it needs no turn of the event loop.
napi_value isThreadAlive(Environment& environment, const Arguments& arguments) {
  int64_t id = toInt(environment, arguments[0], "isThreadAlive: id");
  std::lock_guard<std::mutex> lock(aliveMutex);
  return toJs(environment, aliveEnvironments.count(id) != 0);
}

void addExports(Environment& environment, napi_value exports, const std::vector<Export>& list) {
  for (const Export& entry : list) {
    napi_value function = nullptr;
    check(environment,
          napi_create_function(environment.env, entry.name, NAPI_AUTO_LENGTH, entry.callback, &environment, &function));
    check(environment, napi_set_named_property(environment.env, exports, entry.name, function));
  }
}

}  // namespace

}  // namespace levin

NAPI_MODULE_INIT() {
  using namespace levin;
  // The functions of the addon hold plain pointers: nothing calls them once the thread has ended.
  static thread_local std::vector<std::shared_ptr<Environment>> environments;
  auto environment = std::make_shared<Environment>(env);
  environments.push_back(environment);
  {
    std::lock_guard<std::mutex> lock(aliveMutex);
    environment->id = ++environmentCount;
    aliveEnvironments.insert(environment->id);
  }
  napi_add_env_cleanup_hook(
      env,
      [](void* data) {
        auto* ending = static_cast<Environment*>(data);
        endHelper(*ending->exchange);
        ending->deleteDropped();
        {
          std::lock_guard<std::mutex> lock(ending->mutex);
          ending->closed = true;
        }
        std::lock_guard<std::mutex> lock(aliveMutex);
        aliveEnvironments.erase(ending->id);
      },
      environment.get());
  try {
    installEngine();
    keepFreedMemory();
    startRandom(*environment);
    addExports(*environment, exports, {{"initialize", guarded<initialize>},
                                       {"threadId", guarded<threadId>},
                                       {"isThreadAlive", guarded<isThreadAlive>}});
    for (const auto& list : {dispatchExports(), tensorExports(), autogradExports(), randomExports(), deviceExports(),
                             memoryExports(), observeExports(), addressExports(), settingsExports(),
                             savedHooksExports(), transformExports(), acceleratorExports(), anomalyExports(),
                             profilerExports()}) {
      addExports(*environment, exports, list);
    }
  } catch (...) {
    throwCurrent(*environment);
  }
  return exports;
}
