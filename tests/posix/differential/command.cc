// SPDX-License-Identifier: Apache-2.0
// posix_suite differential DIR.
#include "tests/posix/suite/commands.h"
namespace dpfs::posix {
int differential_command(Arguments) { return 2; }
}  // namespace dpfs::posix
