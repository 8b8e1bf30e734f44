// SPDX-License-Identifier: Apache-2.0
// Usage: what a file system uses of bytes and inodes, what it may, and what statfs(2) says of it.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/kv/store.h"
#include "base/assert.h"
#include "base/result.h"
#include "fuse/wire.h"

namespace dpfs::kv {

// The objects of Collection::usage.
enum class UsageCounter : uint64_t { bytes = 0, inodes = 1 };

inline Key usage_key(UsageCounter counter) noexcept {
  return {.collection = Collection::usage, .object = static_cast<uint64_t>(counter)};
}

struct Amount {
  int64_t bytes = 0;
  int64_t inodes = 0;
};

// Room for a change is reserved before its commit and settled after it, so that changes that are in
// flight at the same time cannot exceed a limit together. Of one reactor.
class Usage {
 public:
  struct Limits {
    uint64_t bytes = 0;  // 0: none, here and below
    uint64_t inodes = 0;
  };

  Usage() = default;
  Usage(const Amount& used, const Limits& limits) noexcept : used_(used), limits_(limits) {}
  Usage(const Usage&) = delete;
  Usage& operator=(const Usage&) = delete;
  // What is stored already stays, also when it is more than the limits.
  void begin(const Amount& used, const Limits& limits) noexcept {
    used_ = used;
    limits_ = limits;
  }

  // What becomes less needs no room and counts when it is settled. Where it fails, nothing is
  // reserved. EDQUOT: more than a limit.
  Result<Unit> reserve(const Amount& more) noexcept {
    const Amount room{.bytes = std::max<int64_t>(more.bytes, 0),
                      .inodes = std::max<int64_t>(more.inodes, 0)};
    if (!fits(used_.bytes + reserved_.bytes, room.bytes, limits_.bytes) ||
        !fits(used_.inodes + reserved_.inodes, room.inodes, limits_.inodes)) {
      return Errno::dquot;
    }
    reserved_.bytes += room.bytes;
    reserved_.inodes += room.inodes;
    return Unit{};
  }
  // The commit that `more` was reserved for has failed.
  void release(const Amount& more) noexcept {
    reserved_.bytes -= std::max<int64_t>(more.bytes, 0);
    reserved_.inodes -= std::max<int64_t>(more.inodes, 0);
    DPFS_ASSERT(reserved_.bytes >= 0 && reserved_.inodes >= 0);
  }
  // It has taken place, and this is what it has changed.
  void settle(const Amount& more, const Amount& changed) noexcept {
    release(more);
    used_.bytes += changed.bytes;
    used_.inodes += changed.inodes;
  }

  const Amount& used() const noexcept { return used_; }
  const Amount& reserved() const noexcept { return reserved_; }

  // In blocks of 4 KiB. With a limit the file system looks as large as that, and has no more room
  // than the engine has. Without a limit of inodes there is one for each free block.
  fuse::Kstatfs statfs(const Store::Space& space) const noexcept {
    fuse::Kstatfs out{};
    const uint64_t left = left_of(limits_.bytes, used_.bytes + reserved_.bytes);
    const uint64_t free_bytes =
        limits_.bytes == 0 ? space.free_bytes : std::min(left, space.free_bytes);
    const uint64_t used_inodes = positive(used_.inodes);
    out.bsize = out.frsize = kBlockBytes;
    out.namelen = kNameBytesMax;
    out.blocks = (limits_.bytes == 0 ? space.total_bytes : limits_.bytes) / kBlockBytes;
    out.bfree = out.bavail = std::min(free_bytes / kBlockBytes, out.blocks);
    out.ffree =
        limits_.inodes == 0 ? out.bfree : left_of(limits_.inodes, used_.inodes + reserved_.inodes);
    out.files = limits_.inodes == 0 ? used_inodes + out.ffree : limits_.inodes;
    return out;
  }

 private:
  static constexpr uint32_t kBlockBytes = 4096;

  static uint64_t positive(int64_t number) noexcept {
    return static_cast<uint64_t>(std::max<int64_t>(number, 0));
  }
  static uint64_t left_of(uint64_t limit, int64_t used) noexcept {
    return limit - std::min(limit, positive(used));
  }
  // Sums stay numbers, also where there is no limit.
  static bool fits(int64_t used, int64_t more, uint64_t limit) noexcept {
    const uint64_t most = limit == 0 ? INT64_MAX : std::min<uint64_t>(limit, INT64_MAX);
    return more == 0 || positive(more) <= left_of(most, used);
  }

  Amount used_;
  Amount reserved_;
  Limits limits_;
};

}  // namespace dpfs::kv
