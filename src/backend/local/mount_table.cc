// SPDX-License-Identifier: Apache-2.0
// What a mount can do is tried out once, with the first object that is seen on it.
#include "backend/local/mount_table.h"

#include <linux/magic.h>
#include <sys/vfs.h>

#include <utility>

namespace dpfs::local {
namespace {

constexpr long kXfsMagic = 0x58465342;

// File systems of the host's own kernel, whose close() does no work that a tenant could wait for.
// Network file systems and FUSE write back, and report what went wrong, when a file is closed.
bool flush_is_idle(int fd) noexcept {
  struct statfs fs;
  if (::fstatfs(fd, &fs) != 0) return false;
  switch (fs.f_type) {
    case EXT4_SUPER_MAGIC:
    case BTRFS_SUPER_MAGIC:
    case F2FS_SUPER_MAGIC:
    case TMPFS_MAGIC:
    case kXfsMagic:
      return true;
    default:
      return false;
  }
}

}  // namespace

uint16_t MountTable::find(uint64_t id) const noexcept {
  if (mounts_[last_].id == id && mounts_[last_].users > 0) return last_;
  for (uint16_t row = 0; row < size_; ++row) {
    if (mounts_[row].id == id && mounts_[row].users > 0) return last_ = row;
  }
  return kNone;
}

uint16_t MountTable::add(Mount&& mount) noexcept {
  uint16_t row = 0;
  while (row < size_ && mounts_[row].users > 0) ++row;
  if (row == kMountsMax) return kNone;
  if (row == size_) ++size_;
  mounts_[row] = std::move(mount);
  mounts_[row].users = 0;
  return row;
}

Fd MountTable::unuse(uint16_t row) noexcept {
  Mount& mount = mounts_[row];
  if (--mount.users > 0) return Fd();
  return std::exchange(mount.fd, Fd());
}

void MountTable::keep_only(uint16_t kept, uint32_t users) noexcept {
  for (uint16_t row = 0; row < size_; ++row) {
    mounts_[row].users = row == kept ? users : 0;
    if (row != kept) mounts_[row].fd.reset();
  }
}

MountTable::Mount explore_mount(int fd, const Stat& stat, FileHandle& handle, int proc_fd,
                                bool want_handles) noexcept {
  MountTable::Mount mount{.id = MountTable::id_of(stat), .flush_is_idle = flush_is_idle(fd)};
  // A mount can also begin at a single file. Nothing but files and directories is ever opened.
  Result<int> opened = Errno::nxio;
  if (S_ISDIR(stat.stx_mode)) {
    opened = open_beneath(fd, ".", O_RDONLY | O_DIRECTORY);
  } else if (S_ISREG(stat.stx_mode)) {
    opened = checked([&] { return ::openat(proc_fd, FdName(fd).c_str(), O_RDONLY | O_CLOEXEC); });
  }
  if (!opened) {
    // Without it there are no handles, but the mount's number must stay what it is.
    mount.fd.reset(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    return mount;
  }
  mount.fd.reset(*opened);
  if (!want_handles || handle.size == 0) return mount;
  // Needs CAP_DAC_READ_SEARCH, and a file system that finds what it has named.
  const Result<int> tried = handle.open(mount.fd.get(), O_PATH);
  if (!tried) return mount;
  ::close(*tried);
  mount.has_handles = true;
  return mount;
}

}  // namespace dpfs::local
