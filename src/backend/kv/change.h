// SPDX-License-Identifier: Apache-2.0
// Change: what one commit does to the file system, and to what is in memory once it is done.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "backend/kv/node_cache.h"
#include "backend/kv/records.h"
#include "backend/kv/store.h"
#include "base/assert.h"

namespace dpfs::kv {

// Put together by an operation that holds the locks of all nodes in it, then committed by
// Volume::commit(). Names, values and payloads that are handed in stay where they are until then.
class Change {
 public:
  // What an operation may need at most, beside the chunks of one WRITE.
  static constexpr uint32_t kWritesMax = 96;
  static constexpr uint32_t kNodesMax = 32;  // of an operation a few, of AccessTimes all
  static constexpr uint32_t kNamesMax = 4;

  struct NodeChange {
    Node* node;
    Inode inode;
    Node::State state;
  };
  struct NameChange {
    uint64_t parent;
    std::string_view name;
    Entry entry;  // ino 0: the name is gone
  };

  void clear() noexcept {
    writes_ = nodes_ = names_ = 0;
    arena_used_ = 0;
    bytes = inodes = 0;
    leaves_garbage = false;
  }

  // Inodes.
  void put(Node& node, const Inode& inode) noexcept {
    write({.kind = Write::Kind::put,
           .key = {.collection = Collection::inode, .object = node.ino},
           .value = keep<kInodeBytes>(inode)});
    note(node, inode, Node::State::there);
  }
  // It keeps what it was last, for those that look at it still.
  void erase(Node& node, const Inode& last) noexcept {
    write(
        {.kind = Write::Kind::erase, .key = {.collection = Collection::inode, .object = node.ino}});
    note(node, last, Node::State::gone);
  }

  // Names. The directory's inode is the caller's to change as well.
  void put_name(const Node& directory, std::string_view name, const Entry& entry) noexcept {
    write({.kind = Write::Kind::put,
           .key = {.collection = Collection::entry, .object = directory.ino, .name = name},
           .value = keep<kEntryBytes>(entry)});
    write({.kind = Write::Kind::put,
           .key = listing_key(directory, entry.cookie),
           .value = keep<kListingBytesMax>(Listing{entry.ino, entry.type, name})});
    note({directory.ino, name, entry});
  }
  void erase_name(const Node& directory, std::string_view name, const Entry& entry) noexcept {
    write({.kind = Write::Kind::erase,
           .key = {.collection = Collection::entry, .object = directory.ino, .name = name}});
    write({.kind = Write::Kind::erase, .key = listing_key(directory, entry.cookie)});
    note({directory.ino, name, {}});
  }

  // Files without a name, which go when their last handle does.
  void put_nameless(Node& node, const Inode& inode) noexcept {
    put(node, inode);
    write({.kind = Write::Kind::put, .key = orphan_key(node)});
  }
  void erase_orphan(const Node& node) noexcept {
    write({.kind = Write::Kind::erase, .key = orphan_key(node)});
  }

  // Any record.
  void write(const Write& write) noexcept {
    DPFS_ASSERT(writes_ < kWritesMax);
    all_writes_[writes_++] = write;
  }
  // A copy that lives as long as the change.
  std::string_view keep(std::string_view value) noexcept {
    DPFS_ASSERT(arena_used_ + value.size() <= arena_.size());
    char* at = arena_.data() + arena_used_;
    std::memcpy(at, value.data(), value.size());
    arena_used_ += value.size();
    return {at, value.size()};
  }

  std::span<const Write> writes() const noexcept { return {all_writes_.data(), writes_}; }
  std::span<const NodeChange> nodes() const noexcept { return {all_nodes_.data(), nodes_}; }
  std::span<const NameChange> names() const noexcept { return {all_names_.data(), names_}; }

  // What is used more, or less, once it is done.
  int64_t bytes = 0;
  int64_t inodes = 0;
  bool leaves_garbage = false;  // a record of Collection::garbage is among the writes

 private:
  static Key listing_key(const Node& directory, uint64_t cookie) noexcept {
    return {.collection = Collection::listing, .object = directory.ino, .number = cookie};
  }
  static Key orphan_key(const Node& node) noexcept {
    return {.collection = Collection::orphan, .number = node.ino};
  }
  template <size_t kBytes, class Record>
  std::string_view keep(const Record& record) noexcept {
    DPFS_ASSERT(arena_used_ + kBytes <= arena_.size());
    const std::span<char, kBytes> room(arena_.data() + arena_used_, kBytes);
    const std::string_view value = encode(record, room);
    arena_used_ += value.size();
    return value;
  }
  void note(Node& node, const Inode& inode, Node::State state) noexcept {
    DPFS_ASSERT(nodes_ < kNodesMax);
    all_nodes_[nodes_++] = {&node, inode, state};
  }
  void note(const NameChange& name) noexcept {
    DPFS_ASSERT(names_ < kNamesMax);
    all_names_[names_++] = name;
  }

  std::array<Write, kWritesMax> all_writes_;
  std::array<NodeChange, kNodesMax> all_nodes_;
  std::array<NameChange, kNamesMax> all_names_;
  std::array<char, 4096> arena_;
  uint32_t writes_ = 0;
  uint32_t nodes_ = 0;
  uint32_t names_ = 0;
  size_t arena_used_ = 0;
};

}  // namespace dpfs::kv
