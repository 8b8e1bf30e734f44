// SPDX-License-Identifier: Apache-2.0
// Patience: whether a read that RocksDB's cache cannot answer is made where it is wanted.
#pragma once

#include <algorithm>
#include <cstdint>

namespace dpfs::kv::rocks {

// What is not in RocksDB's cache is often in the kernel's, and read in a few microseconds; a pool
// of threads costs two thread switches, which are tens of them. A disk takes longer, and is used
// well only by several at once. Which it is shows by trying: as long as reads are quick they are
// made here; after a slow one, more and more of those that follow go to the pool before the next
// try.
class Patience {
 public:
  // A thread switch or two.
  static constexpr uint64_t kQuickNs = 50'000;
  static constexpr uint32_t kPauseMin = 8;
  static constexpr uint32_t kPauseMax = 1024;

  // Whether this one is made here; took() is told then.
  bool tries() noexcept {
    if (left_ == 0) return true;
    --left_;
    return false;
  }
  void took(uint64_t ns) noexcept {
    if (ns <= kQuickNs) {
      pause_ = std::max(pause_ / 2, kPauseMin);
      return;
    }
    left_ = pause_;
    pause_ = std::min(pause_ * 2, kPauseMax);
  }

 private:
  uint32_t pause_ = kPauseMin;  // after the next slow one
  uint32_t left_ = 0;           // that go to the pool
};

}  // namespace dpfs::kv::rocks
