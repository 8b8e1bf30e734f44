// SPDX-License-Identifier: Apache-2.0
// What a file loses when others than its owner may have changed it.
#pragma once

#include <sys/stat.h>

#include <cstdint>

#include "backend/kv/change.h"

namespace dpfs::kv {

// Set-user-id and set-group-id bits, and security.capability, as Linux's file systems take them
// away when a file is written or gets another owner (setattr_should_drop_suidgid()).
inline void drop_privileges(Change& change, uint64_t ino, Inode& inode) noexcept {
  if (S_ISDIR(inode.mode)) return;
  inode.mode &= ~static_cast<uint32_t>(S_ISUID);
  if ((inode.mode & S_IXGRP) != 0) inode.mode &= ~static_cast<uint32_t>(S_ISGID);
  if ((inode.flags & inode_flag::kCapability) == 0) return;
  inode.flags &= ~inode_flag::kCapability;
  change.write(
      {.kind = Write::Kind::erase,
       .key = {.collection = Collection::xattr, .object = ino, .name = "security.capability"}});
}

}  // namespace dpfs::kv
