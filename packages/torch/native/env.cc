#include "env.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <condition_variable>
#include <deque>
#include <future>

#include <ATen/ThreadLocalState.h>

namespace levin {

namespace {

thread_local std::shared_ptr<Environment> currentEnvironment;

// Calls that a thread of the autograd engine wants made on the JavaScript thread.
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

struct CallQueue {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::packaged_task<void()>> tasks;
  bool finished = false;
};

Environment& Environment::current() {
  if (!currentEnvironment || currentEnvironment->closed) {
    throw std::runtime_error("the native addon was not loaded in this thread");
  }
  return *currentEnvironment;
}

void Environment::deleteDropped() {
  std::vector<napi_ref> references;
  {
    std::lock_guard<std::mutex> lock(mutex);
    references.swap(dropped);
  }
  for (napi_ref reference : references) napi_delete_reference(env, reference);
}

JsReference::JsReference(Environment& environment, napi_value value) : environment_(environment.shared_from_this()) {
  environment.deleteDropped();
  check(environment, napi_create_reference(environment.env, value, 1, &reference_));
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

void onJsThread(Environment& environment, const std::function<void()>& task) {
  auto scoped = [&environment, &task] {
    if (environment.closed) throw std::runtime_error("the JavaScript thread of this hook has ended");
    napi_handle_scope scope = nullptr;
    check(environment, napi_open_handle_scope(environment.env, &scope));
    try {
      task();
    } catch (...) {
      napi_close_handle_scope(environment.env, scope);
      throw;
    }
    napi_close_handle_scope(environment.env, scope);
  };
  if (std::this_thread::get_id() == environment.thread) {
    scoped();
    return;
  }
  CallQueue* queue = environment.queue;
  if (queue == nullptr) {
    throw std::runtime_error("a hook written in JavaScript was called from a thread that no backward pass is serving");
  }
  std::packaged_task<void()> packaged(scoped);
  std::future<void> done = packaged.get_future();
  {
    std::lock_guard<std::mutex> lock(queue->mutex);
    queue->tasks.push_back(std::move(packaged));
  }
  queue->changed.notify_one();
  done.get();
}

void whileServing(Environment& environment, bool helper, const std::function<void()>& work) {
  if (!helper || environment.queue != nullptr) {
    work();
    return;
  }
  CallQueue queue;
  environment.queue = &queue;
  std::exception_ptr failure;
  at::ThreadLocalState state;
  std::thread thread([&] {
    try {
      at::ThreadLocalStateGuard guard(state);
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    std::lock_guard<std::mutex> lock(queue.mutex);
    queue.finished = true;
    queue.changed.notify_one();
  });
  std::unique_lock<std::mutex> lock(queue.mutex);
  while (true) {
    queue.changed.wait(lock, [&] { return queue.finished || !queue.tasks.empty(); });
    if (queue.tasks.empty()) break;
    std::packaged_task<void()> task = std::move(queue.tasks.front());
    queue.tasks.pop_front();
    lock.unlock();
    task();
    lock.lock();
  }
  lock.unlock();
  thread.join();
  environment.queue = nullptr;
  if (failure) std::rethrow_exception(failure);
}

void throwCurrent(Environment& environment) noexcept {
  try {
    try {
      throw;
    } catch (const JsException& exception) {
      napi_throw(environment.env, exception.thrown->value());
    } catch (const ArgumentError& error) {
      throwAs(environment, environment.argumentError, error.what(), "ArgumentError", "");
    } catch (const DisposedError& error) {
      throwAs(environment, environment.disposedError, error.what(), "DisposedError", "");
    } catch (const c10::OutOfMemoryError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "OutOfMemoryError", error.what());
    } catch (const c10::IndexError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "IndexError", error.what());
    } catch (const c10::ValueError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "ValueError", error.what());
    } catch (const c10::TypeError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "TypeError", error.what());
    } catch (const c10::NotImplementedError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "NotImplementedError", error.what());
    } catch (const c10::LinAlgError& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "LinAlgError", error.what());
    } catch (const c10::Error& error) {
      throwAs(environment, environment.operatorError, error.what_without_backtrace(), "RuntimeError", error.what());
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

void addExports(Environment& environment, napi_value exports, const std::vector<Export>& list) {
  for (const Export& entry : list) {
    napi_value function = nullptr;
    check(environment,
          napi_create_function(environment.env, entry.name, NAPI_AUTO_LENGTH, entry.callback, nullptr, &function));
    check(environment, napi_set_named_property(environment.env, exports, entry.name, function));
  }
}

}  // namespace

}  // namespace levin

NAPI_MODULE_INIT() {
  using namespace levin;
  auto environment = std::make_shared<Environment>();
  environment->env = env;
  environment->thread = std::this_thread::get_id();
  currentEnvironment = environment;
  napi_add_env_cleanup_hook(
      env,
      [](void*) {
        if (!currentEnvironment) return;
        currentEnvironment->deleteDropped();
        std::lock_guard<std::mutex> lock(currentEnvironment->mutex);
        currentEnvironment->closed = true;
      },
      nullptr);
  try {
    addExports(*environment, exports, {{"initialize", guarded<initialize>}});
    for (const auto& list : {dispatchExports(), tensorExports(), autogradExports(), randomExports(), deviceExports(),
                             memoryExports()}) {
      addExports(*environment, exports, list);
    }
  } catch (...) {
    throwCurrent(*environment);
  }
  return exports;
}
