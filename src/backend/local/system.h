// SPDX-License-Identifier: Apache-2.0
// The system calls the local back end makes, as values: EINTR is retried, errors are Errno.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "base/result.h"

namespace dpfs::local {

using Stat = struct statx;

// Calls until it is not interrupted; gives what it returned, which must not be negative.
template <class F>
auto checked(F call) noexcept -> Result<decltype(call())> {
  while (true) {
    const auto value = call();
    if (value >= 0) return value;
    if (errno != EINTR) return last_errno();
  }
}

// The same where there is nothing to return.
template <class F>
Result<Unit> done(F call) noexcept {
  const auto result = checked(call);
  if (!result) return result.error();
  return Unit{};
}

inline constexpr unsigned kStatMask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID;

inline Result<Unit> stat_name(int directory, const char* name, Stat& out) noexcept {
  return done([&] {
    return ::statx(directory, name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, kStatMask, &out);
  });
}

inline Result<Unit> stat_fd(int fd, Stat& out) noexcept {
  return done([&] { return ::statx(fd, "", AT_EMPTY_PATH, kStatMask, &out); });
}

// Never leaves the tree below `directory`, never follows a link on the way or at the end.
inline Result<int> open_beneath(int directory, const char* path, int flags,
                                uint32_t mode = 0) noexcept {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return checked(
      [&] { return static_cast<int>(::syscall(SYS_openat2, directory, path, &how, sizeof how)); });
}

// What the kernel does for a writer without CAP_FSETID; we have it and the tenant's user has not.
// Before the change, so that nobody ever runs the changed file with its owner's rights.
inline Result<Unit> drop_suid(int fd) noexcept {
  struct stat stat;
  const Result<Unit> ok = done([&] { return ::fstat(fd, &stat); });
  if (!ok) return ok;
  mode_t mode = stat.st_mode & 07777;
  if (!S_ISREG(stat.st_mode) || (mode & (S_ISUID | S_ISGID)) == 0) return Unit{};
  mode &= ~static_cast<mode_t>(S_ISUID);
  if ((mode & S_IXGRP) != 0) mode &= ~static_cast<mode_t>(S_ISGID);
  return done([&] { return ::fchmod(fd, mode); });
}

// The text of a descriptor's number: its name in /proc/self/fd.
class FdName {
 public:
  explicit FdName(int fd) noexcept {
    char* at = text_ + sizeof text_ - 1;
    *at = '\0';
    do *--at = static_cast<char>('0' + fd % 10);
    while ((fd /= 10) != 0);
    begin_ = at;
  }
  FdName(const FdName&) = delete;
  FdName& operator=(const FdName&) = delete;
  const char* c_str() const noexcept { return begin_; }

 private:
  char text_[12];
  const char* begin_;
};

}  // namespace dpfs::local
