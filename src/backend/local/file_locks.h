// SPDX-License-Identifier: Apache-2.0
// FileLocks: who in a tenant holds locks of fcntl(2), as open file descriptions of the host.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <utility>

#include "backend/local/lock_wait.h"
#include "backend/local/nodes.h"
#include "fuse/args.h"
#include "fuse/ids.h"

namespace dpfs::local {

class FileLocks;

// One owner of locks in one file. The host knows it by a descriptor of its own (fcntl(2), "open
// file description locks"), so that its locks merge, exclude those of other owners, of other
// tenants and of the host's programs, and are gone with it.
struct LockOwner {
  NodeId node{};
  uint64_t owner = 0;
  Fd fd;
  Handle handle{};   // that was used last
  uint32_t pid = 0;  // of the tenant's process that locked last
  uint32_t references = 0;
  uint32_t next = 0;  // in its bucket, or in the list of free slots
};

// Keeps a LockOwner. The last one to go closes it.
class LockOwnerRef {
 public:
  LockOwnerRef(FileLocks& locks, LockOwner& owner) noexcept : locks_(&locks), owner_(&owner) {
    ++owner.references;
  }
  LockOwnerRef(LockOwnerRef&& other) noexcept
      : locks_(other.locks_), owner_(std::exchange(other.owner_, nullptr)) {}
  LockOwnerRef& operator=(LockOwnerRef&&) = delete;
  ~LockOwnerRef();

  LockOwner& operator*() const noexcept { return *owner_; }
  LockOwner* operator->() const noexcept { return owner_; }

 private:
  FileLocks* locks_;
  LockOwner* owner_;
};

// Linux drops an owner's locks of a file whenever the owner closes any descriptor of it, and says
// so by FLUSH. Methods may run other requests of the reactor meanwhile (Reactor::blocking).
class FileLocks {
 public:
  FileLocks(Reactor& reactor, Nodes& nodes) noexcept;
  FileLocks(const FileLocks&) = delete;
  FileLocks& operator=(const FileLocks&) = delete;

  // The first lock that keeps `args.owner` from having what it asks for, or F_UNLCK. `any_fd` is
  // an open descriptor of the file.
  Result<fuse::LkOut> test(const LockArgs& args, int any_fd) noexcept;
  // The owner in that file, made where it is not known; to be referred to at once. ENOLCK: too
  // many.
  Result<LockOwner*> owner_of(const LockArgs& args) noexcept;
  // EAGAIN: somebody else has it.
  Result<Unit> set(LockOwner& owner, const LockArgs& args) noexcept;
  Result<Unit> drop_range(const LockArgs& args) noexcept;
  // All locks of the owner in that file are over.
  void drop(NodeId node, uint64_t owner) noexcept {
    if (size_ > 0) drop_known(node, owner);
  }

  // An open file has been closed for the last time. Its own locks (F_OFD_SETLK) are over, of which
  // Linux says nothing; what others have locked through it they have given up by FLUSH before.
  void drop(NodeId node, Handle handle) noexcept {
    if (size_ > 0) drop_known(node, handle);
  }

  uint32_t size() const noexcept { return size_; }
  void clear() noexcept;

 private:
  friend class LockOwnerRef;
  static constexpr uint32_t kBuckets = 256;
  static constexpr uint32_t kOwnersMax = 1u << 16;  // each has a descriptor

  uint32_t& bucket_of(NodeId node) noexcept {
    const auto number = static_cast<uint64_t>(node);
    return buckets_[(number ^ number >> 32) % kBuckets];
  }
  LockOwner* find(NodeId node, uint64_t owner) noexcept;
  uint32_t add(NodeId node, uint64_t owner, Fd fd) noexcept;
  void remove(LockOwner& owner) noexcept;
  void give_back(LockOwner& owner) noexcept;
  void drop_known(NodeId node, uint64_t owner) noexcept;
  void drop_known(NodeId node, Handle handle) noexcept;
  void drop(LockOwner& owner) noexcept;
  Result<int> open(NodeId node, uint32_t type) noexcept;
  uint32_t pid_of(const LockArgs& args, uint64_t start, uint64_t end) noexcept;

  Reactor& reactor_;
  Nodes& nodes_;
  std::array<uint32_t, kBuckets> buckets_;
  std::deque<LockOwner> slots_;
  uint32_t first_free_;
  uint32_t size_ = 0;  // in buckets
};

inline LockOwnerRef::~LockOwnerRef() {
  if (owner_ != nullptr && --owner_->references == 0) locks_->give_back(*owner_);
}

}  // namespace dpfs::local
