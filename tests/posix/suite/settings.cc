// SPDX-License-Identifier: Apache-2.0
// The settings of this run, and the list of cases.
#include "tests/posix/suite/settings.h"

#include "tests/posix/suite/case.h"

namespace dpfs::posix {

Settings& settings() {
  static Settings value;
  return value;
}

std::vector<Case>& all_cases() {
  static std::vector<Case> cases;
  return cases;
}

std::string also_path(const std::string& name) {
  if (settings().also_case.empty()) skip("no second path to the same files was given (--also)");
  return settings().also_case + "/" + name;
}

}  // namespace dpfs::posix
