// SPDX-License-Identifier: Apache-2.0
// IOCTL of the local back end: inode flags and project ids, and nothing else.
//
// They are what chattr(1), lsattr(1) and xfs_io(8) use. Linux asks with a handle of its own, open
// for reading, also when it is to change something, and checks owner and CAP_LINUX_IMMUTABLE
// itself. Everything else is ENOTTY: an ioctl means what the file system that is asked takes it
// for.
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "backend/local/local_fs.h"
#include "backend/local/system.h"

namespace dpfs {

using local::OpenFile;
using local::OpenFileRef;

namespace {

// Anybody's who may change the file. Others have to stay what they are: they are the file system's
// own notes, or reach further than this file (DAX, encryption, letter case).
constexpr uint32_t kFlagsOfOwner = FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL |
                                   FS_NODUMP_FL | FS_NOATIME_FL | FS_NOCOMP_FL | FS_NOTAIL_FL |
                                   FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_NOCOW_FL;
constexpr uint32_t kFlagsOfRoot = FS_IMMUTABLE_FL | FS_APPEND_FL;
constexpr uint32_t kXflagsOfOwner = FS_XFLAG_SYNC | FS_XFLAG_NOATIME | FS_XFLAG_NODUMP |
                                    FS_XFLAG_NODEFRAG | FS_XFLAG_EXTSIZE | FS_XFLAG_EXTSZINHERIT |
                                    FS_XFLAG_COWEXTSIZE | FS_XFLAG_NOSYMLINKS;
constexpr uint32_t kXflagsOfRoot = FS_XFLAG_IMMUTABLE | FS_XFLAG_APPEND;
constexpr uint32_t kXflagsOfNobody = FS_XFLAG_PREALLOC | FS_XFLAG_HASATTR;  // only told

// May `changed` be changed? `root` and `project` say which rights there are.
struct Rights {
  bool root;
  bool project;
};
Result<Unit> check(uint32_t changed, uint32_t of_owner, uint32_t of_root, uint32_t of_project,
                   Rights rights) noexcept {
  if ((changed & of_root) != 0 && !rights.root) return Errno::perm;
  if ((changed & of_project) != 0 && !rights.project) return Errno::perm;
  if ((changed & ~(of_owner | of_root | of_project)) != 0) return Errno::opnotsupp;
  return Unit{};
}

template <class T>
Result<T> get(int fd, unsigned long command) noexcept {
  T value{};
  const Result<int> ok = local::checked([&] { return ::ioctl(fd, command, &value); });
  if (!ok) return ok.error();
  return value;
}

template <class T>
Result<Unit> set(int fd, unsigned long command, T value) noexcept {
  return local::done([&] { return ::ioctl(fd, command, &value); });
}

Result<Unit> set_flags(int fd, uint32_t flags, Rights rights) noexcept {
  const Result<uint32_t> now = get<uint32_t>(fd, FS_IOC_GETFLAGS);
  if (!now) return now.error();
  const Result<Unit> allowed =
      check(flags ^ *now, kFlagsOfOwner, kFlagsOfRoot, FS_PROJINHERIT_FL, rights);
  if (!allowed) return allowed;
  return set(fd, FS_IOC_SETFLAGS, flags);
}

Result<Unit> set_xattr(int fd, const fsxattr& wanted, Rights rights) noexcept {
  const Result<fsxattr> now = get<fsxattr>(fd, FS_IOC_FSGETXATTR);
  if (!now) return now.error();
  const uint32_t changed = (wanted.fsx_xflags ^ now->fsx_xflags) & ~kXflagsOfNobody;
  const Result<Unit> allowed =
      check(changed, kXflagsOfOwner, kXflagsOfRoot, FS_XFLAG_PROJINHERIT, rights);
  if (!allowed) return allowed;
  if (wanted.fsx_projid != now->fsx_projid && !rights.project) return Errno::perm;
  return set(fd, FS_IOC_FSSETXATTR, wanted);
}

// Puts what was read into the room for the answer.
template <class T>
Result<IoctlDone> answer(const Result<T>& value, const IoctlArgs& args) noexcept {
  if (!value) return value.error();
  IoView into = args.into;
  if (!into.store(*value)) return Errno::inval;
  return IoctlDone{.result = 0, .bytes = sizeof(T)};
}

}  // namespace

Op<IoctlDone> LocalFs::ioctl(Request& request, const IoctlArgs& args) {
  OpenFile* found = files_.find(args.handle, args.node);
  if (found == nullptr) return Errno::badf;
  const OpenFileRef file(files_, *found);
  const int fd = file->fd.get();
  // Where ids are mapped in the tenant, Linux says no user, and has checked itself.
  const uint32_t uid = request.header.uid;
  const bool unknown =
      uid == fuse::kInvalidUidGid && (negotiated_.flags & fuse::init_flag::kAllowIdmap) != 0;
  const Rights rights{
      .root = (uid == 0 || unknown) && identity_.has_capability(CAP_LINUX_IMMUTABLE),
      .project = options_.project_ids};
  IoView from = args.from;
  switch (args.command) {
    case FS_IOC_GETFLAGS:
    case FS_IOC32_GETFLAGS:
      return answer(reactor_.blocking([fd] { return get<uint32_t>(fd, FS_IOC_GETFLAGS); }), args);
    case FS_IOC_FSGETXATTR:
      return answer(reactor_.blocking([fd] { return get<fsxattr>(fd, FS_IOC_FSGETXATTR); }), args);
    case FS_IOC_SETFLAGS:
    case FS_IOC32_SETFLAGS: {
      const Result<uint32_t> flags = from.load<uint32_t>();
      if (!flags) return flags.error();
      const Result<Unit> ok = reactor_.blocking([&] { return set_flags(fd, *flags, rights); });
      if (!ok) return ok.error();
      return IoctlDone{};
    }
    case FS_IOC_FSSETXATTR: {
      const Result<fsxattr> wanted = from.load<fsxattr>();
      if (!wanted) return wanted.error();
      const Result<Unit> ok = reactor_.blocking([&] { return set_xattr(fd, *wanted, rights); });
      if (!ok) return ok.error();
      return IoctlDone{};
    }
    default:
      return Errno::notty;
  }
}

}  // namespace dpfs
