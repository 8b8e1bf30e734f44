// SPDX-License-Identifier: Apache-2.0
// The programs in this one, each with the arguments behind its name.
#pragma once

#include "tests/posix/suite/arguments.h"

namespace dpfs::posix {

int cases_command(Arguments arguments);
int self_test_command(Arguments arguments);
int differential_command(Arguments arguments);
int fsx_command(Arguments arguments);

}  // namespace dpfs::posix
