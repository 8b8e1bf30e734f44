// SPDX-License-Identifier: Apache-2.0
// LockRanges: which bytes of a file one owner has locked, and how.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "backend/nfs/nfs4.h"

namespace dpfs::nfs {

struct LockRange {
  uint64_t begin;
  uint64_t end;  // one behind; kToTheEnd for "wherever the file ends"
  LockType type;
  bool operator==(const LockRange&) const = default;
};

// As POSIX has it: a new lock replaces what the owner had there; neighbours of one type are one.
class LockRanges {
 public:
  void lock(const LockRange& range) {
    unlock(range.begin, range.end);
    LockRange all = range;
    std::erase_if(ranges_, [&all](const LockRange& other) {
      if (other.type != all.type || other.end < all.begin || other.begin > all.end) return false;
      all.begin = std::min(all.begin, other.begin);
      all.end = std::max(all.end, other.end);
      return true;
    });
    ranges_.insert(std::ranges::find_if(
                       ranges_, [&all](const LockRange& other) { return other.begin > all.begin; }),
                   all);
  }
  void unlock(uint64_t begin, uint64_t end) {
    std::vector<LockRange> kept;
    for (const LockRange& range : ranges_) {
      if (range.begin < begin && range.end > begin)
        kept.push_back({range.begin, begin, range.type});
      if (range.end > end && range.begin < end) kept.push_back({end, range.end, range.type});
      if (range.end <= begin || range.begin >= end) kept.push_back(range);
    }
    std::ranges::sort(kept, {}, &LockRange::begin);
    ranges_ = std::move(kept);
  }
  bool empty() const noexcept { return ranges_.empty(); }
  const std::vector<LockRange>& all() const noexcept { return ranges_; }  // in order
  void clear() noexcept { ranges_.clear(); }

 private:
  std::vector<LockRange> ranges_;
};

}  // namespace dpfs::nfs
