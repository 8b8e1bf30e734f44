// SPDX-License-Identifier: Apache-2.0
// FileHandle: an inode's name that outlives every descriptor and every rename
// (name_to_handle_at(2)).
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "backend/local/system.h"

namespace dpfs::local {

// Laid out as the kernel's struct file_handle. Handles come from the kernel and go back to it; a
// tenant never gives us one.
struct FileHandle {
  static constexpr uint32_t kBytesMax = 128;  // MAX_HANDLE_SZ

  uint32_t size = 0;  // of bytes; 0: there is none
  int32_t type = 0;
  uint8_t bytes[kBytesMax];

  // Of the object that `fd` (O_PATH will do) is open on. False where the file system has none.
  bool read(int fd) noexcept {
    size = kBytesMax;
    int mount_id = 0;
    if (::name_to_handle_at(fd, "", as_kernel(), &mount_id, AT_EMPTY_PATH) != 0) size = 0;
    return size != 0;
  }
  // `mount_fd` is open, without O_PATH, on anything of the same mount. ESTALE: the inode is gone.
  // May block.
  Result<int> open(int mount_fd, int flags) noexcept {
    Result<int> fd = open_once(mount_fd, flags);
    // Linux says ENOMEM, too, while the number of an inode that is gone becomes that of a new one
    // (iget_locked() finds it being created). ESTALE follows when that has been done.
    for (int i = 0; i < kTriesMax && !fd && fd.error() == Errno::nomem; ++i) {
      ::usleep(kPauseUs);
      fd = open_once(mount_fd, flags);
    }
    return fd;
  }

  uint64_t hash() const noexcept {
    uint64_t hash = 0xcbf29ce484222325 ^ static_cast<uint32_t>(type);
    for (uint32_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
  }

 private:
  static constexpr int kTriesMax = 20;
  static constexpr useconds_t kPauseUs = 100;

  Result<int> open_once(int mount_fd, int flags) noexcept {
    return checked(
        [&] { return ::open_by_handle_at(mount_fd, as_kernel(), flags | O_CLOEXEC | O_NOFOLLOW); });
  }
  ::file_handle* as_kernel() noexcept { return reinterpret_cast<::file_handle*>(this); }
};
static_assert(offsetof(FileHandle, bytes) == offsetof(::file_handle, f_handle));

}  // namespace dpfs::local
