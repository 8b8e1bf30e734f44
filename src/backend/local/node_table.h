// SPDX-License-Identifier: Apache-2.0
// NodeTable: what we remember of each inode a tenant has looked up, as rows of plain data.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "backend/local/file_handle.h"
#include "backend/local/node_key.h"
#include "fuse/ids.h"
#include "fuse/indexed_rows.h"

namespace dpfs::local {

inline constexpr uint32_t kNoIndex = UINT32_MAX;

struct NodeRow : IndexedRow {
  static constexpr uint32_t kInlineBytes = 32;  // ext4 needs 8, XFS 12, btrfs 20

  uint32_t descriptor;  // slot of the descriptor cache, or kNoIndex
  int32_t handle_type;
  NodeKey key;
  union {
    uint64_t lookups;  // answered with this node and not yet forgotten
    struct {
      uint32_t older;
      uint32_t newer;
    } kept;  // of a row that ForgottenNodes keeps
  };
  uint16_t type;   // S_IFMT bits
  bool forgotten;  // `kept` is meant, not `lookups`
  bool orphan;     // has no name any more; its descriptor is pinned for as long as it is known
  uint8_t handle_size;
  uint8_t handle[kInlineBytes];  // when longer: the number of the long handle

  uint64_t hash() const noexcept { return hash_of(key); }
  static uint64_t hash_of(const NodeKey& key) noexcept {
    uint64_t h = key.ino * 0x9e3779b97f4a7c15 ^ (key.birth + (uint64_t{key.dev} << 16 | key.mount));
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93;
    return h ^ h >> 32;
  }
};
static_assert(sizeof(NodeRow) <= 100);

class NodeTable {
 public:
  NodeTable() = default;
  NodeTable(const NodeTable&) = delete;
  NodeTable& operator=(const NodeTable&) = delete;

  // nullptr: never was, or is forgotten. Rows keep their place as long as they are used.
  NodeRow* find(NodeId id) noexcept { return rows_.find(id); }
  NodeRow* find(const NodeKey& key) noexcept {
    return rows_.find(NodeRow::hash_of(key), [&key](const NodeRow& row) { return row.key == key; });
  }
  NodeRow& at(uint32_t index) noexcept { return rows_.at(index); }
  static NodeId id_of(const NodeRow& row) noexcept { return IndexedRows<NodeRow>::id_of(row); }

  // A row for a key that has none, with no lookups yet. The first of an empty table is
  // NodeId::root. nullptr when memory is out.
  NodeRow* insert(const NodeKey& key, uint16_t type, const FileHandle& handle) noexcept;
  // The inode is gone, and the next one with the same key is not it. The tenant may still name the
  // row.
  void retire(NodeRow& row) noexcept { rows_.unindex(row); }
  void erase(NodeRow& row) noexcept;

  FileHandle handle_of(const NodeRow& row) const noexcept;
  bool has_handle(const NodeRow& row, const FileHandle& handle) const noexcept;

  uint32_t size() const noexcept { return rows_.size(); }
  // Forgets everything and gives the memory back.
  void clear() noexcept;

 private:
  static bool is_long(const NodeRow& row) noexcept {
    return row.handle_size > NodeRow::kInlineBytes;
  }
  bool make_room_for_a_long_handle() noexcept;
  uint32_t long_handle(const NodeRow& row) const noexcept;

  IndexedRows<NodeRow> rows_;

  // Handles over NodeRow::kInlineBytes, by number.
  struct LongHandle {
    uint8_t bytes[FileHandle::kBytesMax];
  };
  std::vector<std::unique_ptr<LongHandle>> long_handles_;
  std::vector<uint32_t> free_long_handles_;
};

}  // namespace dpfs::local
