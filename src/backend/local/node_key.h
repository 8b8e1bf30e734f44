// SPDX-License-Identifier: Apache-2.0
// NodeKey: by what an inode of the host is recognized.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "backend/local/system.h"

namespace dpfs::local {

// What makes an inode the one it is. An inode number that is used again has another birth.
struct NodeKey {
  uint64_t ino;
  uint64_t birth;  // ns since 1970; where the file system has none, a hash of the file handle, or 0
  uint32_t dev;    // major << 20 | minor
  uint16_t mount;  // row of the mount table

  bool operator==(const NodeKey&) const = default;
};

// 0 where the file system does not know it.
inline uint64_t birth_of(const Stat& stat) noexcept {
  if ((stat.stx_mask & STATX_BTIME) == 0) return 0;
  return static_cast<uint64_t>(stat.stx_btime.tv_sec) * 1'000'000'000 + stat.stx_btime.tv_nsec;
}

inline NodeKey key_of(const Stat& stat, uint64_t birth, uint16_t mount) noexcept {
  return {.ino = stat.stx_ino,
          .birth = birth,
          .dev = stat.stx_dev_major << 20 | stat.stx_dev_minor,
          .mount = mount};
}

inline uint16_t type_of(const Stat& stat) noexcept { return stat.stx_mode & S_IFMT; }

}  // namespace dpfs::local
