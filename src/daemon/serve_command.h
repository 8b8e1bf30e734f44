// SPDX-License-Identifier: Apache-2.0
// `dpfs serve`: serves virtio-fs devices over vhost-user.
#pragma once

#include "daemon/backends.h"

namespace dpfs {

// argv[0] is the subcommand's name. The exit code: 0 ended as asked, 1 could not serve, 2 wrong
// arguments.
int serve_main(int argc, char** argv, const Backends& backends);

}  // namespace dpfs
