// SPDX-License-Identifier: Apache-2.0
// What the local back end does itself about POSIX ACLs.
#include "backend/local/acl.h"

#include <sys/xattr.h>

#include "backend/local/system.h"

namespace dpfs::local {

bool has_acls(int fd) noexcept {
  return ::fgetxattr(fd, "system.posix_acl_access", nullptr, 0) >= 0 || errno == ENODATA;
}

Result<Unit> drop_set_group_id(int proc_fd, int fd) noexcept {
  Stat stat;
  if (const Result<Unit> ok = stat_fd(fd, stat); !ok) return ok;
  if ((stat.stx_mode & S_ISGID) == 0) return Unit{};
  const mode_t mode = stat.stx_mode & 07777 & ~static_cast<mode_t>(S_ISGID);
  return done([&] { return ::fchmodat(proc_fd, FdName(fd).c_str(), mode, 0); });
}

}  // namespace dpfs::local
