// SPDX-License-Identifier: Apache-2.0
// Reading many records: of one object in order, and of all objects.
#pragma once

#include "backend/kv/store.h"
#include "backend/kv/valkey/cluster.h"
#include "backend/kv/valkey/keys.h"

namespace dpfs::kv::valkey {

// As Store::scan().
Op<bool> scan_object(Cluster& cluster, const Keys& keys, const Scan& scan, ScanReader& reader);

// As Store::sweep(). Goes through the primaries by SCAN, and begins anew when slots have got other
// owners meanwhile, so that nothing is left out. EAGAIN: slots are being moved just now.
Op<Unit> sweep_step(Cluster& cluster, const Keys& keys, Sweep& sweep, ScanReader& reader);

// Where a sweep is: which view of the cluster it began with, which of the servers, and the server's
// own cursor there.
struct SweepPlace {
  // SCAN's cursor has the bits of a hash table's size, and 14 of the slot: no table is so large.
  static constexpr uint32_t kCursorBits = 48;
  static constexpr uint32_t kNodeBits = 12;
  uint32_t view = 0;  // 4 bits
  uint32_t node = 0;
  uint64_t cursor = 0;

  static SweepPlace of(uint64_t number) noexcept {
    return {.view = static_cast<uint32_t>(number >> (kCursorBits + kNodeBits)),
            .node = static_cast<uint32_t>(number >> kCursorBits) & ((1U << kNodeBits) - 1),
            .cursor = number & ((uint64_t{1} << kCursorBits) - 1)};
  }
  uint64_t number() const noexcept {
    return (uint64_t{view} << kNodeBits | node) << kCursorBits | cursor;
  }
};

}  // namespace dpfs::kv::valkey
