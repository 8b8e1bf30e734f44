// SPDX-License-Identifier: Apache-2.0
// Mounting and unmounting: by mount(2) as root, by fusermount3 as anybody else.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "transport/devfuse/mount_options.h"

namespace dpfs::devfuse {

// Mounts on `directory`, an absolute path. The descriptor is the /dev/fuse that the requests come
// from; it blocks. Throws std::runtime_error, with a message for who mounts.
Fd mount_at(const std::string& directory, const MountOptions& options);

// Takes what is mounted on `directory` away; when `lazily`, from the tree at once and for good when
// its last user has gone. EBUSY: it is used. EINVAL: nothing is mounted there. EPERM: it is
// somebody else's. Blocks while the file system writes what it has kept back.
Result<Unit> unmount(const std::string& directory, bool lazily) noexcept;

// What is mounted on a directory, as /proc/self/mountinfo has it.
struct MountPoint {
  std::string type;           // "fuse.dpfs", or "" for nothing
  std::optional<uid_t> user;  // who mounted it, of a FUSE mount
};
MountPoint mounted_at(const std::string& directory);

}  // namespace dpfs::devfuse
