#include "exchange.h"

#include <ATen/ThreadLocalState.h>

#include <optional>

namespace levin {

struct ExchangedCall {
  const std::function<void()>* task;
  at::ThreadLocalState state;  // grad mode, autocast and the like as they are where the call comes from
  bool done = false;
  std::exception_ptr failure;
  const std::function<void()>* inner = nullptr;  // what the waiting thread is asked to run meanwhile
};

namespace {

void runScoped(Environment& environment, const std::function<void()>& task) {
  if (environment.closed) throw std::runtime_error("the JavaScript thread of this hook has ended");
  HandleScope scope(environment);
  task();
}

void serve(Environment& environment, ExchangedCall& call) {
  try {
    at::ThreadLocalStateGuard guard(call.state);
    runScoped(environment, *call.task);
  } catch (...) {
    call.failure = std::current_exception();
  }
}

void help(Exchange& exchange) {
  std::unique_lock<std::mutex> lock(exchange.mutex);
  while (true) {
    exchange.changed.wait(lock, [&] { return exchange.helperTask != nullptr || exchange.ends; });
    if (exchange.helperTask == nullptr) return;
    lock.unlock();
    (*exchange.helperTask)();
    lock.lock();
    exchange.helperTask = nullptr;
    exchange.changed.notify_all();
  }
}

}  // namespace

void endHelper(Exchange& exchange) {
  {
    std::lock_guard<std::mutex> lock(exchange.mutex);
    exchange.ends = true;
  }
  exchange.changed.notify_all();
  if (exchange.helper.joinable()) exchange.helper.join();
}

void onJsThread(Environment& environment, const std::function<void()>& task) {
  if (std::this_thread::get_id() == environment.thread) {
    runScoped(environment, task);
    return;
  }
  Exchange& exchange = *environment.exchange;
  ExchangedCall call{&task, at::ThreadLocalState(), false, nullptr, nullptr};
  std::unique_lock<std::mutex> lock(exchange.mutex);
  if (exchange.serving == 0) {
    throw std::runtime_error(
        "a hook or function written in JavaScript was called from a thread that its own thread is not waiting for: either its "
        "graph is used by another thread, or backward passes run inside the hooks of one another more than 60 deep");
  }
  exchange.waiting.push_back(&call);
  exchange.changed.notify_all();
  while (true) {
    exchange.changed.wait(lock, [&] { return call.done || call.inner != nullptr; });
    if (call.inner == nullptr) break;
    const std::function<void()>* inner = std::exchange(call.inner, nullptr);
    lock.unlock();
    (*inner)();
    lock.lock();
  }
  lock.unlock();
  if (call.failure) std::rethrow_exception(call.failure);
}

void whileServing(Environment& environment, bool helper, const std::function<void()>& work) {
  if (!helper) {
    work();
    return;
  }
  Exchange& exchange = *environment.exchange;
  at::ThreadLocalState state;
  std::exception_ptr failure;
  bool finished = false;
  const std::function<void()> task = [&] {
    try {
      at::ThreadLocalStateGuard guard(state);
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    std::lock_guard<std::mutex> lock(exchange.mutex);
    finished = true;
    exchange.changed.notify_all();
  };
  std::unique_lock<std::mutex> lock(exchange.mutex);
  if (exchange.running.empty()) {
    if (!exchange.helper.joinable()) exchange.helper = std::thread([&exchange] { help(exchange); });
    exchange.helperTask = &task;
    exchange.changed.notify_all();
  } else {
    // A backward pass inside a hook: the thread that waits for the hook is the one which the engine expects to go on with
    // its device, so it runs the inner pass.
    exchange.running.back()->inner = &task;
    exchange.changed.notify_all();
  }
  exchange.serving += 1;
  while (true) {
    exchange.changed.wait(lock, [&] { return finished || !exchange.waiting.empty(); });
    if (exchange.waiting.empty()) break;
    ExchangedCall* call = exchange.waiting.front();
    exchange.waiting.pop_front();
    exchange.running.push_back(call);
    lock.unlock();
    serve(environment, *call);
    lock.lock();
    exchange.running.pop_back();
    call->done = true;
    exchange.changed.notify_all();
  }
  exchange.serving -= 1;
  // It is still inside `task`, which ends with this function.
  exchange.changed.wait(lock, [&] { return exchange.helperTask != &task; });
  lock.unlock();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace levin
