// SPDX-License-Identifier: Apache-2.0
// When a time of access is worth noting.
#pragma once

#include "backend/kv/clock.h"
#include "backend/kv/node_cache.h"

namespace dpfs::kv {

// As mount(8)'s relatime, which is Linux's default: when it would be the first since a change, or
// since a day. It is written down with the inode's next change, or some time after the file is
// closed (AccessTimes).
inline void note_access(Node& node) noexcept {
  constexpr int64_t kDayS = 24 * 60 * 60;
  Inode& inode = node.inode;
  const bool changed_since = !(inode.mtime < inode.atime) || !(inode.ctime < inode.atime);
  const Time time = now();
  if (!changed_since && time.s - inode.atime.s < kDayS) return;
  inode.atime = time;
  node.atime_kept = true;
}

}  // namespace dpfs::kv
