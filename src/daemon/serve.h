// SPDX-License-Identifier: Apache-2.0
// The life of a daemon that serves devices over vhost-user.
#pragma once

#include "daemon/backends.h"
#include "daemon/config.h"

namespace dpfs {

// Until SIGTERM or SIGINT. The exit code: 0 ended as asked, 1 could not serve.
int serve(ServeConfig config, const Backends& backends);

}  // namespace dpfs
