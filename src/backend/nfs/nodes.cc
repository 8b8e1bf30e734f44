// SPDX-License-Identifier: Apache-2.0
// The table of nodes.
#include "backend/nfs/nodes.h"

#include <algorithm>

namespace dpfs::nfs {

uint64_t NodeRow::hash_of(const FileHandle& handle) noexcept {
  uint64_t hash = handle.size;
  for (size_t at = 0; at < handle.size; at += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, handle.bytes.data() + at, std::min<size_t>(sizeof word, handle.size - at));
    hash = (hash ^ word) * 0x9e3779b97f4a7c15;
    hash ^= hash >> 32;
  }
  return hash;
}

NodeRow* Nodes::find(const FileHandle& handle) noexcept {
  return rows_.find(NodeRow::hash_of(handle),
                    [&handle](const NodeRow& row) { return row.handle == handle; });
}

NodeRow* Nodes::add(const FileHandle& handle, const Attributes& attributes) noexcept {
  NodeRow* row = rows_.take();
  if (row == nullptr) return nullptr;
  row->lookups = 0;
  row->fileid = attributes.fileid;
  row->change = attributes.change;
  row->cached_change = 0;
  row->type = attributes.type;
  row->mode = attributes.mode;
  row->gid = attributes.gid;
  row->removed = false;
  row->file = kNoFile;
  row->valid_s = row->seen_s = 0;
  row->handle = handle;
  rows_.index(*row);
  return row;
}

NodeRow* Nodes::set_root(const FileHandle& handle, const Attributes& attributes) noexcept {
  NodeRow* root = find(NodeId::root);
  if (root == nullptr) {
    root = add(handle, attributes);
    if (root != nullptr) root->lookups = 1;  // never forgotten
    return root;
  }
  if (root->handle == handle) return root;
  rows_.unindex(*root);
  root->handle = handle;
  rows_.index(*root);
  return root;
}

NodeRow* Nodes::find_or_add(const FileHandle& handle, const Attributes& attributes) noexcept {
  NodeRow* row = find(handle);
  return row != nullptr ? row : add(handle, attributes);
}

void Nodes::forget(NodeRow& row, uint64_t lookups) noexcept {
  row.lookups -= std::min(row.lookups, lookups);
  if (row.lookups == 0 && id_of(row) != NodeId::root && row.file == kNoFile) rows_.give(row);
}

}  // namespace dpfs::nfs
