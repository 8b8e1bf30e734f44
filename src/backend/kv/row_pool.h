// SPDX-License-Identifier: Apache-2.0
// RowPool<Row>: rows that are named by numbers, made a chunk at a time and used again.
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "base/assert.h"

namespace dpfs::kv {

inline constexpr uint32_t kNoRow = UINT32_MAX;

// Rows keep their place while they are used. Nothing is allocated before the first one, and what a
// crowd needed is given back when the last row has gone.
template <class Row>
class RowPool {
 public:
  RowPool() = default;
  RowPool(const RowPool&) = delete;
  RowPool& operator=(const RowPool&) = delete;
  ~RowPool() { DPFS_ASSERT(used_ == 0); }

  Row& operator[](uint32_t index) noexcept { return slot(index).row; }

  // A fresh row; kNoRow when memory is out.
  uint32_t take() noexcept {
    if (!reserve(1)) return kNoRow;
    uint32_t index = first_free_;
    if (index != kNoRow) {
      first_free_ = slot(index).next_free;
    } else {
      index = begun_++;
    }
    std::construct_at(&slot(index).row);
    ++used_;
    return index;
  }
  void give(uint32_t index) noexcept {
    Slot& gone = slot(index);
    std::destroy_at(&gone.row);
    gone.next_free = first_free_;
    first_free_ = index;
    if (--used_ > 0) return;
    first_free_ = kNoRow;
    begun_ = 0;
    while (chunks_.size() > 1) chunks_.pop_back();
  }
  // So many take() will work, if nobody else takes. False when memory is out.
  bool reserve(uint32_t rows) noexcept {
    while (chunks_.size() * kChunk - used_ < rows) {
      try {
        chunks_.push_back(std::make_unique_for_overwrite<Slot[]>(kChunk));
      } catch (const std::bad_alloc&) {
        return false;
      }
    }
    return true;
  }
  uint32_t used() const noexcept { return used_; }

 private:
  static constexpr uint32_t kChunk = 64;

  struct Slot {
    Slot() noexcept {}   // NOLINT(modernize-use-equals-default): there is no row yet
    ~Slot() noexcept {}  // NOLINT(modernize-use-equals-default)
    union {
      Row row;
      uint32_t next_free;
    };
  };

  Slot& slot(uint32_t index) noexcept { return chunks_[index / kChunk][index % kChunk]; }

  std::vector<std::unique_ptr<Slot[]>> chunks_;
  uint32_t begun_ = 0;  // rows behind it have never been used
  uint32_t first_free_ = kNoRow;
  uint32_t used_ = 0;
};

}  // namespace dpfs::kv
