// SPDX-License-Identifier: Apache-2.0
// posix_suite fsx DIR.
#include "tests/posix/suite/commands.h"
namespace dpfs::posix {
int fsx_command(Arguments) { return 2; }
}  // namespace dpfs::posix
