// SPDX-License-Identifier: Apache-2.0
// One line for each group, what failed and what was skipped, and the same as JSON.
#pragma once

#include <string>
#include <vector>

#include "tests/posix/suite/runner.h"

namespace dpfs::posix {

class Report {
 public:
  void add(CaseResult result);  // prints a group's line when the next group begins
  // The end of the text; 0 when nothing failed, 1 otherwise.
  int finish();
  std::string json(const std::string& directory) const;

 private:
  void print_group() const;

  std::vector<CaseResult> results_;
  std::string group_;
};

void print_failures(const CaseResult& result);

}  // namespace dpfs::posix
