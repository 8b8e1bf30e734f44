// SPDX-License-Identifier: Apache-2.0
// ReplacedFiles: files whose name belongs to another since a moment ago.
#pragma once

#include <array>
#include <cstdint>

#include "backend/kv/node_cache.h"
#include "base/op.h"
#include "io/async_mutex.h"
#include "io/timer.h"

namespace dpfs::kv {

class Volume;

// Who opens a name that is being replaced, again and again, gets the file that was or the file that
// is, as rename(2) promises. But a tenant looks the name up and opens what it found afterwards; if
// that were gone, it would look a second time, and then give up with ESTALE. So a file that loses
// its last name to another one stays for a while, as an orphan record like one that is still open
// (Volume::remove_orphan).
class ReplacedFiles final : Timer {
 public:
  ReplacedFiles(Volume& volume, Timers& timers) noexcept : volume_(volume), timers_(timers) {}

  // A place for one. False: none is left, and the file has to go at once.
  bool reserve() noexcept {
    if (count_ + reserved_ == kept_.size()) return false;
    ++reserved_;
    return true;
  }
  // Takes that place, or leaves it where `node` is empty.
  void add(NodeRef node) noexcept;
  bool empty() const noexcept { return count_ == 0; }
  // Room is needed: those go that nobody has open. Waits for nobody's lock.
  Op<Unit> remove_all() { return remove_until(UINT64_MAX); }
  // The last session has ended. When it is done none are left here, and nothing runs.
  Op<Unit> end();

 private:
  struct Kept {
    NodeRef node;
    uint64_t until_ns = 0;
  };

  void fired() noexcept override { work(); }
  Detached work() noexcept;
  Op<Unit> remove_until(uint64_t now_ns);
  void push(NodeRef node) noexcept;
  NodeRef pop() noexcept;
  void arm() noexcept;

  Volume& volume_;
  Timers& timers_;
  std::array<Kept, 256> kept_;  // a ring
  uint32_t first_ = 0;
  uint32_t count_ = 0;
  uint32_t reserved_ = 0;
  AsyncMutex busy_;
};

}  // namespace dpfs::kv
