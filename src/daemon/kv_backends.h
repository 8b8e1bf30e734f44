// SPDX-License-Identifier: Apache-2.0
// The URLs of key-value file systems: kv+rocksdb:/path
#pragma once

#include "daemon/backends.h"

namespace dpfs {

void add_kv_backends(Backends& backends);

}  // namespace dpfs
