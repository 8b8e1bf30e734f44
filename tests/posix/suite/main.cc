// SPDX-License-Identifier: Apache-2.0
// posix_suite: conformance of a file system, seen from a directory on it. One static program, so
// that it can be carried into a virtual machine.
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "tests/posix/suite/commands.h"

namespace {

constexpr const char* kHelp = R"(usage: posix_suite COMMAND [ARGUMENTS]

  cases DIR          POSIX cases: errnos, permissions, times, rename, locks, and so on
  differential DIR   random operations on DIR and on a plain directory, everything compared
  fsx DIR            random reads, writes, holes and maps of one file, every byte checked
  self-test DIR      proves on a plain directory that wrong results are reported

'posix_suite COMMAND --help' says more, with examples.
)";

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "--help";
  dpfs::posix::Arguments arguments({argv + (argc > 1 ? 2 : 1), argv + argc});
  if (command == "cases") return dpfs::posix::cases_command(std::move(arguments));
  if (command == "self-test") return dpfs::posix::self_test_command(std::move(arguments));
  if (command == "differential") return dpfs::posix::differential_command(std::move(arguments));
  if (command == "fsx") return dpfs::posix::fsx_command(std::move(arguments));
  if (command == "pause") return pause();  // what a case executes
  if (command == "--help" || command == "-h" || command == "help") {
    printf("%s", kHelp);
    return 0;
  }
  fprintf(stderr, "posix_suite: there is no command '%s'\n%s", command.c_str(), kHelp);
  return 2;
}
