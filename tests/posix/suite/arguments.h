// SPDX-License-Identifier: Apache-2.0
// A command line, taken apart option by option.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dpfs::posix {

class Arguments {
 public:
  explicit Arguments(std::vector<std::string> words) : words_(std::move(words)) {}

  bool flag(const std::string& name);
  // "--name VALUE" or "--name=VALUE".
  std::string value(const std::string& name);
  uint64_t number(const std::string& name, uint64_t otherwise);
  // What is left; call it last. An option that nobody asked for is a problem.
  std::vector<std::string> rest();
  const std::string& problem() const { return problem_; }

 private:
  std::vector<std::string> words_;
  std::string problem_;
};

}  // namespace dpfs::posix
