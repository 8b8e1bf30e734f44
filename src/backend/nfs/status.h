// SPDX-License-Identifier: Apache-2.0
// What a server's nfsstat4 means for a tenant, and for whoever reads the log.
#pragma once

#include "backend/nfs/nfs4.h"
#include "base/errno.h"

namespace dpfs::nfs {

// As Linux's own client has it. EIO for what has no errno, and for what the client should have
// dealt with itself (sessions, state).
Errno to_errno(Status status) noexcept;

// "NFS4ERR_STALE"; "an unknown status" for a number that has no name.
const char* describe_status(Status status) noexcept;

}  // namespace dpfs::nfs
