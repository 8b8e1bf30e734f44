// SPDX-License-Identifier: Apache-2.0
// A look at an NFS share before it is served, so that mistakes are told where they are made.
#pragma once

#include "backend/nfs/options.h"

namespace dpfs {

// Throws std::runtime_error when nobody knows the server's name, when it refuses, or when it cannot
// be reached and `soft` is set. One that cannot be reached for some seconds is waited for later,
// and that is said.
void probe_nfs(const NfsOptions& options);

}  // namespace dpfs
