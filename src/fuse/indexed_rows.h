// SPDX-License-Identifier: Apache-2.0
// IndexedRows<Row>: plain rows that are found by node id, or by what they are (a hash and a test).
#pragma once

#include <cstdint>
#include <memory>
#include <new>
#include <vector>

#include "base/assert.h"
#include "fuse/ids.h"

namespace dpfs {

// What a row of a table of nodes begins with. Numbers instead of pointers, so that a table can lie
// in a memory file one day, for a successor.
struct IndexedRow {
  uint32_t generation;  // the upper half of its node ids
  uint32_t index;       // the lower half
  uint32_t next;        // in its bucket, or in the list of free rows
  bool used;
  bool indexed;  // found by what it is
};

// Rows lie in chunks and keep their place as long as they are used. The hash table grows bucket by
// bucket (linear hashing: each insertion splits at most one), so that no insertion is long, however
// many rows there are. Row derives from IndexedRow, is plain data, and has `uint64_t hash() const`.
template <class Row>
class IndexedRows {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  IndexedRows() {
    buckets_.push_back(std::make_unique_for_overwrite<uint32_t[]>(kChunk));
    clear();
  }
  IndexedRows(const IndexedRows&) = delete;
  IndexedRows& operator=(const IndexedRows&) = delete;

  // nullptr: never was, or is forgotten.
  Row* find(NodeId id) noexcept {
    const auto number = static_cast<uint64_t>(id);
    const auto index = static_cast<uint32_t>(number);
    if (index >= rows_) return nullptr;
    Row& row = at(index);
    return row.used && row.generation == number >> 32 ? &row : nullptr;
  }
  template <class Test>
  Row* find(uint64_t hash, Test is_it) noexcept {
    for (uint32_t i = bucket_of(hash); i != kNone; i = at(i).next) {
      if (is_it(at(i))) return &at(i);
    }
    return nullptr;
  }
  Row& at(uint32_t index) noexcept { return chunks_[index >> kChunkBits][index & kChunkMask]; }
  static NodeId id_of(const Row& row) noexcept {
    return NodeId{uint64_t{row.generation} << 32 | row.index};
  }

  // A free row, used from now on but not indexed; the first of an empty table is NodeId::root.
  // nullptr when memory is out.
  Row* take() noexcept {
    if (first_free_ == kNone && !add_rows()) return nullptr;
    Row& row = at(first_free_);
    first_free_ = row.next;
    row.used = true;
    row.indexed = false;
    ++used_;
    return &row;
  }
  void index(Row& row) noexcept {
    if (++indexed_ > base_ + split_) split_a_bucket();
    uint32_t& bucket = bucket_of(row.hash());
    row.next = bucket;
    bucket = row.index;
    row.indexed = true;
  }
  // It is found by its number only from now on.
  void unindex(Row& row) noexcept {
    if (!row.indexed) return;
    uint32_t* link = &bucket_of(row.hash());
    while (*link != row.index) {
      DPFS_ASSERT(*link != kNone);
      link = &at(*link).next;
    }
    *link = row.next;
    row.indexed = false;
    --indexed_;
  }
  void give(Row& row) noexcept {
    DPFS_ASSERT(row.used);
    unindex(row);
    row.used = false;
    ++row.generation;
    row.next = first_free_;
    first_free_ = row.index;
    --used_;
  }

  uint32_t size() const noexcept { return used_; }
  // Forgets everything and gives the memory back.
  void clear() noexcept {
    chunks_.clear();
    buckets_.resize(1);
    rows_ = used_ = indexed_ = split_ = 0;
    first_free_ = kNone;
    base_ = kChunk;
    for (uint32_t i = 0; i < kChunk; ++i) bucket(i) = kNone;
  }

 private:
  static constexpr uint32_t kChunkBits = 10;
  static constexpr uint32_t kChunk = 1u << kChunkBits;  // rows, or buckets, allocated at a time
  static constexpr uint32_t kChunkMask = kChunk - 1;

  uint32_t& bucket(uint32_t number) noexcept {
    return buckets_[number >> kChunkBits][number & kChunkMask];
  }
  uint32_t& bucket_of(uint64_t hash) noexcept {
    auto number = static_cast<uint32_t>(hash & (base_ - 1));
    if (number < split_) number = static_cast<uint32_t>(hash & (2 * uint64_t{base_} - 1));
    return bucket(number);
  }

  bool add_rows() noexcept {
    if (rows_ >= kNone - kChunk) return false;
    std::unique_ptr<Row[]> chunk(new (std::nothrow) Row[kChunk]);
    if (!chunk) return false;
    try {
      chunks_.push_back(std::move(chunk));
    } catch (const std::bad_alloc&) {
      return false;
    }
    const uint32_t first = rows_;
    rows_ += kChunk;
    for (uint32_t i = rows_; i-- > first;) {
      Row& row = at(i);
      row.used = row.indexed = false;
      row.generation = i == static_cast<uint32_t>(NodeId::root) ? 0 : 1;
      row.index = i;
      row.next = first_free_;
      if (i != 0)
        first_free_ = i;  // row 0 is nobody's: no node is 0, and the first one is the root
    }
    return true;
  }

  void split_a_bucket() noexcept {
    const uint32_t fresh = base_ + split_;
    if (fresh >> kChunkBits == buckets_.size()) {
      // Without memory the chains become longer, and that is all.
      std::unique_ptr<uint32_t[]> chunk(new (std::nothrow) uint32_t[kChunk]);
      if (!chunk) return;
      try {
        buckets_.push_back(std::move(chunk));
      } catch (const std::bad_alloc&) {
        return;
      }
    }
    uint32_t* stay = &bucket(split_);
    uint32_t* go = &bucket(fresh);
    uint32_t next = *stay;
    *stay = *go = kNone;
    while (next != kNone) {
      Row& row = at(next);
      uint32_t* to = (row.hash() & base_) != 0 ? go : stay;
      next = row.next;
      row.next = *to;
      *to = row.index;
    }
    if (++split_ == base_) {
      base_ *= 2;
      split_ = 0;
    }
  }

  std::vector<std::unique_ptr<Row[]>> chunks_;
  uint32_t rows_ = 0;
  uint32_t first_free_ = kNone;
  uint32_t used_ = 0;
  uint32_t indexed_ = 0;
  std::vector<std::unique_ptr<uint32_t[]>> buckets_;
  uint32_t base_ = kChunk;  // a power of two
  uint32_t split_ = 0;      // buckets below it have been split already
};

}  // namespace dpfs
