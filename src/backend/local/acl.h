// SPDX-License-Identifier: Apache-2.0
// POSIX ACLs: the tenant's kernel reads and checks them, the host's file system keeps them.
#pragma once

#include <string_view>

#include "base/result.h"

namespace dpfs::local {

inline bool is_acl(std::string_view name) noexcept {
  return name == "system.posix_acl_access" || name == "system.posix_acl_default";
}

// Whether the file system that `fd` (not O_PATH) lies on keeps ACLs. May block.
bool has_acls(int fd) noexcept;

// Takes the set-group-id bit away from what `fd` (O_PATH will do) is open on: who changes an ACL
// and is not in the file's group may not keep it. We have CAP_FSETID, so the host's kernel leaves
// the bit alone. May block.
Result<Unit> drop_set_group_id(int proc_fd, int fd) noexcept;

}  // namespace dpfs::local
