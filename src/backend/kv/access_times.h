// SPDX-License-Identifier: Apache-2.0
// AccessTimes: times of access that are in memory and are to be written down.
#pragma once

#include <array>
#include <cstdint>

#include "backend/kv/change.h"
#include "backend/kv/node_cache.h"
#include "base/op.h"
#include "io/async_mutex.h"
#include "io/timer.h"

namespace dpfs::kv {

class Volume;

// That a file was read is noted when it is closed. A commit for each would cost more than the read,
// so many go at once: when there are enough of them, or after a while. A daemon that dies before
// leaves the times that were.
class AccessTimes final : Timer {
 public:
  AccessTimes(Volume& volume, Timers& timers) noexcept : volume_(volume), timers_(timers) {}

  // Of a node whose `atime_kept` is set.
  void add(NodeRef node) noexcept;
  // The last session has ended. When it is done none are left here, and nothing runs.
  Op<Unit> end();

 private:
  static constexpr uint32_t kTimesMax = Change::kNodesMax;  // of one commit

  void fired() noexcept override { work(); }
  Detached work() noexcept;
  Op<Unit> write_down();
  Op<Unit> write_some();
  NodeRef pop() noexcept;

  Volume& volume_;
  Timers& timers_;
  std::array<NodeRef, size_t{4} * kTimesMax> noted_;  // a ring
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  bool working_ = false;
  AsyncMutex busy_;
};

}  // namespace dpfs::kv
