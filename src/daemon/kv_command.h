// SPDX-License-Identifier: Apache-2.0
// `dpfs kv`: tools for key-value file systems.
#pragma once

namespace dpfs {

// argv[0] is the subcommand's name. The exit code: 0 done, 1 failed, 2 wrong arguments; of fsck as
// fsck(8) has it.
int kv_main(int argc, char** argv);

}  // namespace dpfs
