// SPDX-License-Identifier: Apache-2.0
// DescriptorCache: the descriptors of nodes that were used last, a bounded number of them.
#pragma once

#include <cstdint>
#include <vector>

#include "backend/local/node_table.h"

namespace dpfs::local {

// A slot holds one node's descriptor. While it is pinned it stays open, whatever happens to the
// node. The cache exceeds its limit only by what is pinned. It closes nothing itself: closing may
// take long (the last descriptor of an unlinked file), so what is to be closed is handed out.
class DescriptorCache {
 public:
  // A descriptor that has left the cache. The node, when it is still there, has none any more.
  struct Evicted {
    int fd = -1;
    uint32_t node = kNoIndex;
  };

  explicit DescriptorCache(uint32_t limit) : limit_(limit) { slots_.reserve(limit); }
  DescriptorCache(const DescriptorCache&) = delete;
  DescriptorCache& operator=(const DescriptorCache&) = delete;

  int fd(uint32_t slot) const noexcept { return slots_[slot].fd; }
  // The slot is pinned once. kNoIndex when memory is out.
  uint32_t add(int fd, uint32_t node) noexcept;
  void pin(uint32_t slot) noexcept {
    ++slots_[slot].pins;
    slots_[slot].used_lately = true;
  }
  Evicted unpin(uint32_t slot) noexcept {
    if (--slots_[slot].pins != 0) return {};
    return unpinned(slot);
  }
  // The node is forgotten: the descriptor to close, or -1 when that has to wait for the last unpin.
  int orphan(uint32_t slot) noexcept;

  bool over_limit() const noexcept { return open_ > limit_; }
  // One that is not pinned and was not used lately, or nothing.
  Evicted evict() noexcept;
  // Any but that of `slot`, pinned or not, or nothing. At the end, when nobody uses them.
  Evicted take_any_but(uint32_t slot) noexcept;

  uint32_t open() const noexcept { return open_; }
  uint32_t limit() const noexcept { return limit_; }

 private:
  struct Slot {
    int fd;
    uint32_t node;  // kNoIndex: forgotten
    uint32_t pins;
    uint32_t next_free;
    bool used_lately;
  };

  Evicted unpinned(uint32_t slot) noexcept;
  Evicted take_out(uint32_t slot) noexcept;

  const uint32_t limit_;
  uint32_t open_ = 0;
  uint32_t first_free_ = kNoIndex;
  uint32_t hand_ = 0;  // of the clock
  std::vector<Slot> slots_;
};

}  // namespace dpfs::local
