// SPDX-License-Identifier: Apache-2.0
// MountTable: the host's mounts that the shared directory lies on, and what each of them can do.
#pragma once

#include <sys/sysmacros.h>

#include <array>
#include <cstdint>

#include "backend/local/file_handle.h"
#include "base/fd.h"

namespace dpfs::local {

// File handles are opened relative to a descriptor of their mount. One is kept for each mount that
// has nodes, which also keeps the kernel from giving the mount's number to another. (So a file
// system mounted inside the shared directory can be unmounted, other than lazily, only when the
// tenant has forgotten everything in it.)
class MountTable {
 public:
  static constexpr uint16_t kMountsMax = 256;  // the host's administrator makes them, not a tenant
  static constexpr uint16_t kNone = UINT16_MAX;

  struct Mount {
    uint64_t id = 0;
    Fd fd;
    bool has_handles = false;    // `fd` opens them
    bool flush_is_idle = false;  // closing a file tells nobody anything: no FLUSH is needed
    uint32_t users = 0;          // nodes, and operations that use `fd`; 0: the row is free
  };

  static uint64_t id_of(const Stat& stat) noexcept {
    // Before Linux 5.8 there are no mount numbers: then a device stands for its mount.
    if ((stat.stx_mask & STATX_MNT_ID) != 0) return stat.stx_mnt_id;
    return uint64_t{1} << 63 | makedev(stat.stx_dev_major, stat.stx_dev_minor);
  }

  uint16_t find(uint64_t id) const noexcept;
  // Takes `mount`, which has no users yet. kNone when the table is full.
  uint16_t add(Mount&& mount) noexcept;
  Mount& at(uint16_t row) noexcept { return mounts_[row]; }
  uint16_t size() const noexcept { return size_; }  // rows, also those without users
  void use(uint16_t row) noexcept { ++mounts_[row].users; }
  // The descriptor to close after the last user, or none.
  Fd unuse(uint16_t row) noexcept;
  // Forgets all others.
  void keep_only(uint16_t kept, uint32_t users) noexcept;

 private:
  std::array<Mount, kMountsMax> mounts_;
  uint16_t size_ = 0;          // rows that have been used at all
  mutable uint16_t last_ = 0;  // the row found last: nearly always the one looked for
};

// Finds out about the mount of `fd` (O_PATH will do), whose `stat` and `handle` are given. May
// block.
MountTable::Mount explore_mount(int fd, const Stat& stat, FileHandle& handle, int proc_fd,
                                bool want_handles) noexcept;

}  // namespace dpfs::local
