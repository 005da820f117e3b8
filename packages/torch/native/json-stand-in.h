// Takes the place of nlohmann/json.hpp, which libtorch's wheel lacks: a header of functorch includes it for two functions
// that write a transform as text, which nothing here calls.
#pragma once

#include <string>

namespace nlohmann {

struct json {
  json() = default;
  template <typename T>
  explicit json(const T&) {}
  std::string dump() const { return {}; }
  static json parse(const std::string&) { return {}; }
  template <typename T>
  T get() const {
    return T();
  }
};

}  // namespace nlohmann
