// SPDX-License-Identifier: Apache-2.0
// A root directory of our own, in which nothing but the shared folders exists.
#pragma once

#include <string>
#include <vector>

namespace dpfs::sandbox {

// Needs a mount namespace of its own and CAP_SYS_ADMIN over it. Afterwards this process sees each
// folder (absolute, without links) under its path, with all that is mounted in it now and later,
// and /proc/self/fd; all else is an empty, read-only file system. In the folders links are not
// followed and devices not opened, and one in which none of `writable` lies is read-only.
//
// Throws std::system_error; then nothing has changed.
void enter_private_root(const std::vector<std::string>& folders,
                        const std::vector<std::string>& writable);

}  // namespace dpfs::sandbox
