// SPDX-License-Identifier: Apache-2.0
// Rows of inodes, and handles that are too long for them.
#include "backend/local/node_table.h"

#include <cstring>
#include <new>

namespace dpfs::local {

void NodeTable::clear() noexcept {
  rows_.clear();
  long_handles_.clear();
  free_long_handles_.clear();
}

NodeRow* NodeTable::insert(const NodeKey& key, uint16_t type, const FileHandle& handle) noexcept {
  const bool needs_room = handle.size > NodeRow::kInlineBytes;
  if (needs_room && !make_room_for_a_long_handle()) return nullptr;
  NodeRow* row = rows_.take();
  if (row == nullptr) return nullptr;
  row->key = key;
  row->lookups = 0;
  row->descriptor = kNoIndex;
  row->type = type;
  row->forgotten = false;
  row->orphan = false;
  row->handle_size = static_cast<uint8_t>(handle.size);
  row->handle_type = handle.type;
  if (needs_room) {
    const uint32_t number = free_long_handles_.back();
    free_long_handles_.pop_back();
    std::memcpy(long_handles_[number]->bytes, handle.bytes, handle.size);
    std::memcpy(row->handle, &number, sizeof number);
  } else {
    std::memcpy(row->handle, handle.bytes, handle.size);
  }
  rows_.index(*row);
  return row;
}

void NodeTable::erase(NodeRow& row) noexcept {
  if (is_long(row)) free_long_handles_.push_back(long_handle(row));
  rows_.give(row);
}

uint32_t NodeTable::long_handle(const NodeRow& row) const noexcept {
  uint32_t number;
  std::memcpy(&number, row.handle, sizeof number);
  return number;
}

bool NodeTable::make_room_for_a_long_handle() noexcept {
  if (!free_long_handles_.empty()) return true;
  try {
    // Room for giving it back is made now, so that forgetting never needs memory.
    long_handles_.push_back(std::make_unique<LongHandle>());
    free_long_handles_.reserve(long_handles_.capacity());
  } catch (const std::bad_alloc&) {
    return false;
  }
  free_long_handles_.push_back(static_cast<uint32_t>(long_handles_.size() - 1));
  return true;
}

FileHandle NodeTable::handle_of(const NodeRow& row) const noexcept {
  FileHandle handle;
  handle.size = row.handle_size;
  handle.type = row.handle_type;
  const uint8_t* bytes = is_long(row) ? long_handles_[long_handle(row)]->bytes : row.handle;
  std::memcpy(handle.bytes, bytes, row.handle_size);
  return handle;
}

bool NodeTable::has_handle(const NodeRow& row, const FileHandle& handle) const noexcept {
  const FileHandle own = handle_of(row);
  return own.size == handle.size && own.type == handle.type &&
         std::memcmp(own.bytes, handle.bytes, own.size) == 0;
}

}  // namespace dpfs::local
