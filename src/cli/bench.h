// SPDX-License-Identifier: Apache-2.0
// `dpfs bench`: measures any vhost-user-fs device from a tenant in user space.
#pragma once

namespace dpfs::cli {

// argv[0] is the subcommand's name. The exit code: 0 done, 1 something failed (said on stderr),
// 2 wrong arguments, 130 interrupted.
int bench_main(int argc, char** argv);

}  // namespace dpfs::cli
