#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <vector>

namespace levin {

// Throws where the arguments, converted and in order, are ones that the operator must not get.
using Guard = void (*)(const std::vector<c10::IValue>& stack);

// The guard of an operator; null for most.
Guard findGuard(const std::string& name);

}  // namespace levin
