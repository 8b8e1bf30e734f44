// SPDX-License-Identifier: Apache-2.0
// GarbageCollector: removes what belonged to files that are gone, piece by piece.
#pragma once

#include <cstdint>

#include "backend/kv/change.h"
#include "backend/kv/page_map.h"
#include "base/op.h"
#include "io/async_mutex.h"

namespace dpfs::kv {

class Volume;

// One step of taking away what is stored of a file from a page on.
struct PageDrop {
  uint64_t ino = 0;
  uint64_t end_page = UINT64_MAX;  // nothing is stored from there on
  uint64_t from_page = 0;          // in and out: where the next step begins
  uint64_t dropped = 0;            // out: pages that were stored, of this step
  bool last = false;               // out: nothing is stored behind it
};
// Adds the step to `change`.
Op<Unit> drop_pages(Volume& volume, PageDrop& drop, Change& change);

// Works on the garbage records (Collection::garbage) while there are any, in steps that are small
// enough not to hold up anybody. A record stays until all is gone, so that a daemon that dies
// leaves nothing behind that the next one does not find.
class GarbageCollector {
 public:
  explicit GarbageCollector(Volume& volume) noexcept : volume_(volume) {}
  GarbageCollector(const GarbageCollector&) = delete;
  GarbageCollector& operator=(const GarbageCollector&) = delete;

  // The volume is mounted: collects what a daemon that died has left.
  void begin() noexcept;
  // There is a new record.
  void collect() noexcept;
  // Returns when it has stopped; what is left stays for the next time.
  Op<Unit> end();

 private:
  Detached work() noexcept;
  Op<Unit> collect_all();
  Op<Unit> collect_one(uint64_t ino);
  Op<Unit> drop_xattrs(uint64_t ino);

  Volume& volume_;
  bool working_ = false;
  bool again_ = false;  // there may be more than was found
  bool ending_ = false;
  AsyncMutex busy_;
};

}  // namespace dpfs::kv
