// Calls between the threads of the autograd engine and the JavaScript thread whose hooks and functions they run.
//
// On the CPU a backward pass runs on the JavaScript thread itself and hooks are called directly. On an accelerator it runs on
// threads of the engine: there, the JavaScript thread serves their calls for as long as the pass takes.
#pragma once

#include "env.h"

#include <condition_variable>
#include <deque>
#include <functional>

namespace levin {

// One call that a thread of the engine waits for.
struct ExchangedCall;

struct Exchange {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<ExchangedCall*> waiting;
  std::vector<ExchangedCall*> running;  // on the JavaScript thread, the innermost last
  int serving = 0;                      // how many backward passes the JavaScript thread serves, one inside the other

  // The thread that runs backward passes meanwhile. It is kept: to start one takes as long as a small pass.
  std::thread helper;
  const std::function<void()>* helperTask = nullptr;  // what it runs, null while it waits
  bool ends = false;
};

// Ends the helper thread. To be called on the JavaScript thread, when that one is about to end.
void endHelper(Exchange& exchange);

// Runs `task` on the environment's JavaScript thread: directly when already there, else while that thread serves.
void onJsThread(Environment& environment, const std::function<void()>& task);

// Runs `work`. With `helper` it runs on another thread, and this one, the JavaScript thread, serves the calls that it makes.
void whileServing(Environment& environment, bool helper, const std::function<void()>& work);

}  // namespace levin
