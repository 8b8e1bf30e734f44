// SPDX-License-Identifier: Apache-2.0
// A key-value file system used for a moment before it is served, so that mistakes are told where
// they are made.
#pragma once

#include "daemon/kv_stores.h"

namespace dpfs {

// Claims it and gives it back; makes it, where that is asked. Throws std::runtime_error that says
// why it cannot be had: no server answers, there is no file system, another daemon has it. Takes as
// long as a lease, where a daemon that had it has died.
void probe_kv(const KvAsked& asked);

}  // namespace dpfs
