// SPDX-License-Identifier: Apache-2.0
// `dpfs mount` and `dpfs umount`: a URL on a directory of this machine.
#pragma once

#include "daemon/backends.h"

namespace dpfs {

// argv[0] is the subcommand's name. The exit code: 0 mounted (or, in the foreground, ended as
// asked), 1 could not mount, 2 wrong arguments.
int mount_main(int argc, char** argv, const Backends& backends);
int umount_main(int argc, char** argv);

// Whether a program of that name is to be what mount(8) calls: mount.dpfs or mount.fuse.dpfs.
bool is_mount_helper(const char* program);
// Its command line: SPEC DIR [-sfnv] [-o OPTIONS] [-t TYPE]; mount(8), "EXTERNAL HELPERS".
int mount_helper_main(int argc, char** argv, const Backends& backends);

}  // namespace dpfs
