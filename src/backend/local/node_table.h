// SPDX-License-Identifier: Apache-2.0
// NodeTable: what we remember of each inode a tenant has looked up, as rows of plain data.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/local/file_handle.h"
#include "backend/local/node_key.h"
#include "fuse/ids.h"

namespace dpfs::local {

inline constexpr uint32_t kNoIndex = UINT32_MAX;

// Numbers instead of pointers throughout: the table can lie in a memory file one day, for a
// successor.
struct NodeRow {
  static constexpr uint32_t kInlineBytes = 32;  // ext4 needs 8, XFS 12, btrfs 20

  NodeKey key;
  union {
    uint64_t lookups;  // answered with this node and not yet forgotten
    struct {
      uint32_t older;
      uint32_t newer;
    } kept;  // of a row that ForgottenNodes keeps
  };
  uint32_t generation;  // of the row: the upper half of its node ids
  uint32_t index;       // of the row itself
  uint32_t next;        // in its bucket, or in the list of free rows
  uint32_t descriptor;  // slot of the descriptor cache, or kNoIndex
  uint16_t type;        // S_IFMT bits
  bool used;
  bool indexed;    // found by its key
  bool forgotten;  // `kept` is meant, not `lookups`
  bool orphan;     // has no name any more; its descriptor is pinned for as long as it is known
  uint8_t handle_size;
  int32_t handle_type;
  uint8_t handle[kInlineBytes];  // when longer: the number of the long handle
};
static_assert(sizeof(NodeRow) <= 100);

class NodeTable {
 public:
  NodeTable();
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

  // nullptr: never was, or is forgotten. Rows keep their place as long as they are used.
  NodeRow* find(NodeId id) noexcept {
    const auto number = static_cast<uint64_t>(id);
    const auto index = static_cast<uint32_t>(number);
    if (index >= rows_) return nullptr;
    NodeRow& row = at(index);
    return row.used && row.generation == number >> 32 ? &row : nullptr;
  }
  NodeRow* find(const NodeKey& key) noexcept;
  NodeRow& at(uint32_t index) noexcept { return chunks_[index >> kChunkBits][index & kChunkMask]; }
  static NodeId id_of(const NodeRow& row) noexcept {
    return NodeId{uint64_t{row.generation} << 32 | row.index};
  }

  // A row for a key that has none, with no lookups yet. The first of an empty table is
  // NodeId::root. nullptr when memory is out.
  NodeRow* insert(const NodeKey& key, uint16_t type, const FileHandle& handle) noexcept;
  // The inode is gone, and the next one with the same key is not it. The tenant may still name the
  // row.
  void retire(NodeRow& row) noexcept;
  void erase(NodeRow& row) noexcept;

  FileHandle handle_of(const NodeRow& row) const noexcept;
  bool has_handle(const NodeRow& row, const FileHandle& handle) const noexcept;

  uint32_t size() const noexcept { return used_; }
  // Forgets everything and gives the memory back.
  void clear() noexcept;

 private:
  static constexpr uint32_t kChunkBits = 10;  // rows are allocated 1024 at a time
  static constexpr uint32_t kChunkMask = (1u << kChunkBits) - 1;
  static constexpr uint32_t kBucketsAtFirst = 1024;

  static uint64_t hash(const NodeKey& key) noexcept;
  uint32_t& bucket_of(const NodeKey& key) noexcept;
  uint32_t& bucket(uint32_t number) noexcept {
    return buckets_[number >> kChunkBits][number & kChunkMask];
  }
  bool add_rows() noexcept;
  void split_a_bucket() noexcept;
  bool store_handle(NodeRow& row, const FileHandle& handle) noexcept;
  uint32_t long_handle(const NodeRow& row) const noexcept;

  std::vector<std::unique_ptr<NodeRow[]>> chunks_;
  uint32_t rows_ = 0;
  uint32_t first_free_ = kNoIndex;
  uint32_t used_ = 0;
  uint32_t indexed_ = 0;

  // Linear hashing: each insertion splits at most one bucket, so that no insertion is long, however
  // many rows there are.
  std::vector<std::unique_ptr<uint32_t[]>> buckets_;
  uint32_t base_ = kBucketsAtFirst;  // a power of two
  uint32_t split_ = 0;               // buckets below it have been split already

  // Handles over NodeRow::kInlineBytes, by number.
  struct LongHandle {
    uint8_t bytes[FileHandle::kBytesMax];
  };
  std::vector<std::unique_ptr<LongHandle>> long_handles_;
  std::vector<uint32_t> free_long_handles_;
};

}  // namespace dpfs::local
