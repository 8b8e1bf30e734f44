// SPDX-License-Identifier: Apache-2.0
// Rows in chunks that never move, found by number or through a hash table that grows bucket by
// bucket.
#include "backend/local/node_table.h"

#include <cstring>
#include <new>

#include "base/assert.h"

namespace dpfs::local {

NodeTable::NodeTable() {
  buckets_.push_back(std::make_unique_for_overwrite<uint32_t[]>(kBucketsAtFirst));
  static_assert(kBucketsAtFirst == 1u << kChunkBits);
  clear();
}

void NodeTable::clear() noexcept {
  chunks_.clear();
  buckets_.resize(1);
  long_handles_.clear();
  free_long_handles_.clear();
  rows_ = used_ = indexed_ = split_ = 0;
  first_free_ = kNoIndex;
  base_ = kBucketsAtFirst;
  for (uint32_t i = 0; i < kBucketsAtFirst; ++i) bucket(i) = kNoIndex;
}

uint64_t NodeTable::hash(const NodeKey& key) noexcept {
  uint64_t h = key.ino * 0x9e3779b97f4a7c15 ^ (key.birth + (uint64_t{key.dev} << 16 | key.mount));
  h ^= h >> 32;
  h *= 0xd6e8feb86659fd93;
  return h ^ h >> 32;
}

uint32_t& NodeTable::bucket_of(const NodeKey& key) noexcept {
  const uint64_t h = hash(key);
  uint32_t number = h & (base_ - 1);
  if (number < split_) number = h & (2 * uint64_t{base_} - 1);
  return bucket(number);
}

NodeRow* NodeTable::find(const NodeKey& key) noexcept {
  for (uint32_t i = bucket_of(key); i != kNoIndex;) {
    NodeRow& row = at(i);
    if (row.key == key) return &row;
    i = row.next;
  }
  return nullptr;
}

bool NodeTable::add_rows() noexcept {
  if (rows_ >= kNoIndex - kChunkMask - 1) return false;
  std::unique_ptr<NodeRow[]> chunk(new (std::nothrow) NodeRow[1u << kChunkBits]);
  if (!chunk) return false;
  try {
    chunks_.push_back(std::move(chunk));
  } catch (const std::bad_alloc&) {
    return false;
  }
  const uint32_t first = rows_;
  rows_ += 1u << kChunkBits;
  for (uint32_t i = rows_; i-- > first;) {
    NodeRow& row = at(i);
    row.used = false;
    row.generation = i == static_cast<uint32_t>(NodeId::root) ? 0 : 1;
    row.index = i;
    row.next = first_free_;
    if (i != 0) first_free_ = i;  // row 0 is nobody's: no node is 0, and the first one is the root
  }
  return true;
}

NodeRow* NodeTable::insert(const NodeKey& key, uint16_t type, const FileHandle& handle) noexcept {
  if (first_free_ == kNoIndex && !add_rows()) return nullptr;
  NodeRow& row = at(first_free_);
  if (!store_handle(row, handle)) return nullptr;
  first_free_ = row.next;
  row.key = key;
  row.lookups = 0;
  row.descriptor = kNoIndex;
  row.type = type;
  row.used = true;
  row.indexed = true;
  row.forgotten = false;
  row.orphan = false;
  ++used_;
  ++indexed_;
  if (indexed_ > base_ + split_) split_a_bucket();
  uint32_t& bucket = bucket_of(key);
  row.next = bucket;
  bucket = row.index;
  return &row;
}

void NodeTable::retire(NodeRow& row) noexcept {
  if (!row.indexed) return;
  uint32_t* link = &bucket_of(row.key);
  while (*link != row.index) {
    DPFS_ASSERT(*link != kNoIndex);
    link = &at(*link).next;
  }
  *link = row.next;
  row.indexed = false;
  --indexed_;
}

void NodeTable::erase(NodeRow& row) noexcept {
  DPFS_ASSERT(row.used);
  retire(row);
  if (row.handle_size > NodeRow::kInlineBytes) free_long_handles_.push_back(long_handle(row));
  row.used = false;
  ++row.generation;
  row.next = first_free_;
  first_free_ = row.index;
  --used_;
}

void NodeTable::split_a_bucket() noexcept {
  const uint32_t fresh = base_ + split_;
  if (fresh >> kChunkBits == buckets_.size()) {
    // Without memory the chains become longer, and that is all.
    std::unique_ptr<uint32_t[]> chunk(new (std::nothrow) uint32_t[1u << kChunkBits]);
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
  *stay = *go = kNoIndex;
  while (next != kNoIndex) {
    NodeRow& row = at(next);
    uint32_t* to = (hash(row.key) & base_) != 0 ? go : stay;
    next = row.next;
    row.next = *to;
    *to = row.index;
  }
  if (++split_ == base_) {
    base_ *= 2;
    split_ = 0;
  }
}

uint32_t NodeTable::long_handle(const NodeRow& row) const noexcept {
  uint32_t number;
  std::memcpy(&number, row.handle, sizeof number);
  return number;
}

bool NodeTable::store_handle(NodeRow& row, const FileHandle& handle) noexcept {
  row.handle_size = static_cast<uint8_t>(handle.size);
  row.handle_type = handle.type;
  if (handle.size <= NodeRow::kInlineBytes) {
    std::memcpy(row.handle, handle.bytes, handle.size);
    return true;
  }
  if (free_long_handles_.empty()) {
    try {
      // Room for giving it back is made now, so that forgetting never needs memory.
      long_handles_.push_back(std::make_unique<LongHandle>());
      free_long_handles_.reserve(long_handles_.capacity());
    } catch (const std::bad_alloc&) {
      return false;
    }
    free_long_handles_.push_back(static_cast<uint32_t>(long_handles_.size() - 1));
  }
  const uint32_t number = free_long_handles_.back();
  free_long_handles_.pop_back();
  std::memcpy(long_handles_[number]->bytes, handle.bytes, handle.size);
  std::memcpy(row.handle, &number, sizeof number);
  return true;
}

FileHandle NodeTable::handle_of(const NodeRow& row) const noexcept {
  FileHandle handle;
  handle.size = row.handle_size;
  handle.type = row.handle_type;
  const uint8_t* bytes =
      row.handle_size > NodeRow::kInlineBytes ? long_handles_[long_handle(row)]->bytes : row.handle;
  std::memcpy(handle.bytes, bytes, row.handle_size);
  return handle;
}

bool NodeTable::has_handle(const NodeRow& row, const FileHandle& handle) const noexcept {
  const FileHandle own = handle_of(row);
  return own.size == handle.size && own.type == handle.type &&
         std::memcmp(own.bytes, handle.bytes, own.size) == 0;
}

}  // namespace dpfs::local
