// SPDX-License-Identifier: Apache-2.0
// Nodes: the server's objects that a tenant knows.
#pragma once

#include <cstdint>

#include "backend/nfs/attributes.h"
#include "backend/nfs/nfs4.h"
#include "fuse/indexed_rows.h"

namespace dpfs::nfs {

inline constexpr uint32_t kNoFile = UINT32_MAX;

struct NodeRow : IndexedRow {
  uint64_t lookups;  // answered with this node and not yet forgotten
  uint64_t fileid;
  uint64_t change;         // as it was last seen
  uint64_t cached_change;  // what the tenant's kernel has of the contents belongs to; 0: to nothing
  FileType type;
  uint32_t gid;      // as it was last seen
  uint32_t mode;     // without the type, as it was last seen
  bool removed;      // a directory that the server has no more
  uint32_t file;     // of Files, while it is open or has writes that are not stored, or kNoFile
  uint32_t valid_s;  // for how long its attributes may be believed, when that is learned
  uint32_t seen_s;   // when they were last seen
  FileHandle handle;

  uint64_t hash() const noexcept { return hash_of(handle); }
  static uint64_t hash_of(const FileHandle& handle) noexcept;
};

class Nodes {
 public:
  // The first, and the only one that may get another handle.
  NodeRow* set_root(const FileHandle& handle, const Attributes& attributes) noexcept;
  // The node with this handle, known already or new, without counting a lookup. nullptr when memory
  // is out.
  NodeRow* find_or_add(const FileHandle& handle, const Attributes& attributes) noexcept;

  NodeRow* find(NodeId node) noexcept { return rows_.find(node); }
  NodeRow* find(const FileHandle& handle) noexcept;
  static NodeId id_of(const NodeRow& row) noexcept { return IndexedRows<NodeRow>::id_of(row); }
  void forget(NodeRow& row, uint64_t lookups) noexcept;
  void clear() noexcept { rows_.clear(); }
  uint32_t size() const noexcept { return rows_.size(); }

 private:
  NodeRow* add(const FileHandle& handle, const Attributes& attributes) noexcept;
  IndexedRows<NodeRow> rows_;
};

}  // namespace dpfs::nfs
