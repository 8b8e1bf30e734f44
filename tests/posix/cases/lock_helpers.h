// SPDX-License-Identifier: Apache-2.0
// fcntl and OFD locks in one line each.
#pragma once

#include <fcntl.h>

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace dpfs::posix {

struct Range {
  int64_t start = 0;
  int64_t size = 0;  // 0: to the end of the file, however far it grows
};

// 0, or -1 with errno, as fcntl(2). `command`: F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW.
// `type`: F_RDLCK, F_WRLCK, F_UNLCK.
int lock(const Fd& file, int command, int type, Range range = {});

inline int try_lock(const Fd& file, int type, Range range = {}) {
  return lock(file, F_SETLK, type, range);
}

// What F_GETLK (or F_OFD_GETLK) finds in the way of a lock of this type.
struct flock in_the_way(const Fd& file, int type, Range range = {}, int command = F_GETLK);

// Whether another process could lock the range for writing, tried there and undone.
bool free_for_others(const std::string& path, Range range = {});

}  // namespace dpfs::posix
