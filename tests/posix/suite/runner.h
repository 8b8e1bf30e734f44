// SPDX-License-Identifier: Apache-2.0
// Runs one case in a process and a directory of its own, within a time limit.
#pragma once

#include <string>
#include <vector>

#include "tests/posix/suite/case.h"
#include "tests/posix/suite/record.h"

namespace dpfs::posix {

enum class Outcome { passed, failed, skipped, known };

struct CaseResult {
  std::string name;  // group/name
  std::string group;
  Outcome outcome;
  std::string reason;  // of a skip or a known difference
  std::vector<Failure> failures;
  uint32_t expectations = 0;
  double seconds = 0;
};

class Runner {
 public:
  explicit Runner(int timeout_s);
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;
  ~Runner();

  // `turned_round`: the number of an expectation that is to count the other way round; 0: none.
  CaseResult run(const Case& one, uint32_t turned_round = 0);

 private:
  void wait_for(pid_t pid);

  int timeout_s_;
  Record* record_;  // in memory that all processes of the case share
};

}  // namespace dpfs::posix
