// SPDX-License-Identifier: Apache-2.0
// The program dpfs: its subcommands.
#pragma once

#include "daemon/backends.h"

namespace dpfs {

// A program with back ends of its own calls this from its main() (examples/).
int program_main(int argc, char** argv, const Backends& backends);

}  // namespace dpfs
