// SPDX-License-Identifier: Apache-2.0
// NodeCache: the inodes that are in memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

#include "backend/kv/records.h"
#include "base/list.h"
#include "io/async_mutex.h"

namespace dpfs::kv {

// An inode as it was when it was last committed. Its owner is the only one who changes it (see
// ownership.h), so what is here is what is stored.
struct Node : ListLink<> {
  enum class State : uint8_t {
    unknown,  // to be read
    there,
    gone,  // removed, or never made; `inode` is what it was last
  };
  uint64_t ino = 0;
  Inode inode;
  State state = State::unknown;
  uint32_t users = 0;       // who hold it now
  uint32_t opens = 0;       // handles of tenants
  uint32_t changes = 0;     // how often it, or a name in it, was changed since it is here
  bool atime_kept = false;  // inode.atime is newer than what is stored
  bool leaving = false;     // a commit that removes it is on its way
  bool in_use = false;      // by some inode, which a tenant may call any number
  uint32_t next = 0;        // in its bucket, or in the list of free ones
  uint32_t index = 0;
  // One who changes it at a time. Readers don't ask.
  AsyncMutex lock;

  bool is_there() const noexcept { return state == State::there; }
  // It may be different from what is stored: to be read again.
  void doubt() noexcept {
    state = State::unknown;
    ++changes;
  }
  void set(const Inode& now, State as) noexcept {
    inode = now;
    state = as;
    atime_kept = false;
    ++changes;
  }
};

class NodeCache;

// Keeps a node in memory.
class NodeRef {
 public:
  NodeRef() = default;
  NodeRef(NodeCache& cache, Node& node) noexcept;
  NodeRef(NodeRef&& other) noexcept
      : cache_(other.cache_), node_(std::exchange(other.node_, nullptr)) {}
  NodeRef& operator=(NodeRef&& other) noexcept {
    std::swap(cache_, other.cache_);
    std::swap(node_, other.node_);
    return *this;
  }
  ~NodeRef();

  explicit operator bool() const noexcept { return node_ != nullptr; }
  Node& operator*() const noexcept { return *node_; }
  Node* operator->() const noexcept { return node_; }

 private:
  NodeCache* cache_ = nullptr;
  Node* node_ = nullptr;
};

// At most `nodes_max` that nobody holds, those used last; any number of those that somebody does. A
// tenant's node ids are inode numbers, which are never used again, so a node that is not here can
// always be read again: what a tenant remembers costs us no memory.
class NodeCache {
 public:
  explicit NodeCache(uint32_t nodes_max) : nodes_max_(nodes_max), buckets_(kBucketsMin, kNone) {}
  NodeCache(const NodeCache&) = delete;
  NodeCache& operator=(const NodeCache&) = delete;
  ~NodeCache() {
    clear();
    DPFS_ASSERT(used_ == 0);
  }

  // The node, if it is here.
  Node* find(uint64_t ino) noexcept {
    for (uint32_t i = buckets_[bucket_of(ino)]; i != kNone; i = at(i).next) {
      if (at(i).ino == ino) return &at(i);
    }
    return nullptr;
  }
  // The node, made where it is not here. Empty when memory is out.
  NodeRef get(uint64_t ino) noexcept {
    Node* node = find(ino);
    if (node == nullptr) node = add(ino);
    return node == nullptr ? NodeRef() : NodeRef(*this, *node);
  }
  uint32_t size() const noexcept { return used_; }
  // Nothing that is here is true any more. What somebody holds is to be read again.
  void clear() noexcept {
    while (Node* node = idle_.pop_front()) remove(*node);
    for (uint32_t i = 0; used_ > 0 && i < made_; ++i) {
      if (at(i).ino != 0) at(i).doubt();
    }
  }

 private:
  friend class NodeRef;
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kChunkBits = 6;
  static constexpr uint32_t kChunk = 1u << kChunkBits;
  static constexpr size_t kBucketsMin = 256;

  Node& at(uint32_t index) noexcept {
    return (*chunks_[index >> kChunkBits])[index & (kChunk - 1)];
  }
  // Inode numbers are handed out one by one.
  size_t bucket_of(uint64_t ino) const noexcept { return ino & (buckets_.size() - 1); }

  Node* add(uint64_t ino) noexcept {
    while (used_ >= nodes_max_ && !idle_.empty()) remove(*idle_.pop_front());
    if (first_free_ == kNone && !add_chunk()) return nullptr;
    Node& node = at(first_free_);
    first_free_ = node.next;
    node.ino = ino;
    node.in_use = true;
    node.inode = {};
    node.state = Node::State::unknown;
    node.changes = 0;
    node.atime_kept = false;
    link(node);
    ++used_;
    idle_.push_back(node);
    return &node;
  }
  void link(Node& node) noexcept {
    uint32_t& bucket = buckets_[bucket_of(node.ino)];
    node.next = bucket;
    bucket = node.index;
  }
  void remove(Node& node) noexcept {
    uint32_t* link_to = &buckets_[bucket_of(node.ino)];
    while (*link_to != node.index) link_to = &at(*link_to).next;
    *link_to = node.next;
    node.in_use = false;
    node.next = first_free_;
    first_free_ = node.index;
    --used_;
  }
  bool add_chunk() noexcept {
    try {
      if (made_ + kChunk > buckets_.size()) grow_buckets();
      chunks_.push_back(std::make_unique<std::array<Node, kChunk>>());
    } catch (const std::bad_alloc&) {
      return false;
    }
    for (uint32_t i = kChunk; i-- > 0;) {
      Node& node = (*chunks_.back())[i];
      node.index = made_ + i;
      node.next = first_free_;
      first_free_ = node.index;
    }
    made_ += kChunk;
    return true;
  }
  void grow_buckets() {
    std::vector<uint32_t> more(buckets_.size() * 2, kNone);
    buckets_.swap(more);
    for (uint32_t i = 0; i < made_; ++i) {
      if (at(i).in_use) link(at(i));
    }
  }

  const uint32_t nodes_max_;
  std::vector<uint32_t> buckets_;
  std::vector<std::unique_ptr<std::array<Node, kChunk>>> chunks_;
  uint32_t made_ = 0;
  uint32_t used_ = 0;
  uint32_t first_free_ = kNone;
  List<Node> idle_;  // held by nobody, the one used last at the end
};

inline NodeRef::NodeRef(NodeCache& cache, Node& node) noexcept : cache_(&cache), node_(&node) {
  if (node.users++ == 0) node.unlink();
}

inline NodeRef::~NodeRef() {
  if (node_ == nullptr || --node_->users > 0) return;
  cache_->idle_.push_back(*node_);
}

}  // namespace dpfs::kv
