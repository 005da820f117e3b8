// Checks that libtorch leaves out: without them these calls would end the process, or never end.
#include "guards.h"

#include <ATen/Functions.h>

#include <limits>
#include <unordered_map>

#include "env.h"

namespace levin {

namespace {

using Stack = std::vector<c10::IValue>;

void requireTensors(const Stack& stack) {
  if (stack[0].isTensorList() && stack[0].toTensorList().empty()) throw ArgumentError("cat: at least one tensor is required");
}

// random_(self, from, to): counts up from `from`, past the last integer.
void requireRoomAbove(const Stack& stack) {
  if (stack.size() == 4 && stack[1].isInt() && stack[2].isNone() && stack[1].toInt() == std::numeric_limits<int64_t>::max()) {
    throw ArgumentError("random_: from must be less than 2^63 - 1 where to is not given");
  }
}

// combinations(self, r, withReplacement): makes r tensors first.
void requireFewAtATime(const Stack& stack) {
  if (stack[1].isInt() && stack[1].toInt() > 1000) {
    throw ArgumentError("combinations: r must be at most 1000, got " + std::to_string(stack[1].toInt()));
  }
}

// special_laguerre_polynomial_l(x, n) and its like: take n steps for each element.
void requireLowDegree(const Stack& stack) {
  constexpr double most = 1e6;
  const c10::IValue& n = stack[1];
  bool tooHigh = n.isScalar() && !n.isComplexDouble() && n.toScalar().toDouble() > most;
  if (n.isTensor() && n.toTensor().numel() > 0 && n.toTensor().device().is_cpu() && !n.toTensor().is_complex()) {
    tooHigh = at::any(at::gt(n.toTensor(), most)).item<bool>();
  }
  if (tooHigh) throw ArgumentError("the degree n of a polynomial must be at most 1,000,000");
}

}  // namespace

Guard findGuard(const std::string& name) {
  static const std::unordered_map<std::string, Guard> guards = {
      {"aten::cat", requireTensors},
      {"aten::concat", requireTensors},
      {"aten::concatenate", requireTensors},
      {"aten::random_", requireRoomAbove},
      {"aten::combinations", requireFewAtATime},
      {"aten::special_laguerre_polynomial_l", requireLowDegree},
      {"aten::special_legendre_polynomial_p", requireLowDegree},
  };
  auto found = guards.find(name);
  return found == guards.end() ? nullptr : found->second;
}

}  // namespace levin
