// SPDX-License-Identifier: Apache-2.0
// CASE(group, name) { ... } registers a case. It runs in a process of its own, whose working
// directory is a new, empty directory of the file system under test, as who started the suite, with
// umask 022.
#pragma once

#include <string>
#include <vector>

#include "tests/posix/suite/expect.h"
#include "tests/posix/suite/files.h"
#include "tests/posix/suite/process.h"
#include "tests/posix/suite/settings.h"

namespace dpfs::posix {

struct Case {
  std::string group;
  std::string name;
  void (*run)();

  std::string full_name() const { return group + "/" + name; }
};

// In the order of groups, then of the source.
std::vector<Case>& all_cases();

struct Registration {
  Registration(const char* group, const char* name, void (*run)()) {
    all_cases().push_back({group, name, run});
  }
};

}  // namespace dpfs::posix

#define CASE(group, name)                                                       \
  static void posix_case_##group##_##name();                                    \
  static const ::dpfs::posix::Registration posix_registration_##group##_##name( \
      #group, #name, posix_case_##group##_##name);                              \
  static void posix_case_##group##_##name()
