// SPDX-License-Identifier: Apache-2.0
// Open, Lock: what a server keeps for us of a file that is open, and what it takes to have it given
// to us again.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <new>

#include "backend/nfs/compound.h"
#include "backend/nfs/lock_ranges.h"
#include "backend/nfs/nfs4.h"
#include "base/frame_pool.h"
#include "base/list.h"
#include "fuse/ids.h"

namespace dpfs::nfs {

// Memory for shared objects out of the reactor's pool: opening a file calls no malloc in steady
// state.
template <class T>
struct PoolAllocator {
  using value_type = T;
  PoolAllocator() = default;
  template <class U>
  PoolAllocator(const PoolAllocator<U>&) noexcept {}
  T* allocate(size_t n) {
    void* memory = FramePool::take(n * sizeof(T));
    if (memory == nullptr) throw std::bad_alloc();
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t n) noexcept { FramePool::give(memory, n * sizeof(T)); }
  bool operator==(const PoolAllocator&) const = default;
};

// Who holds locks, to the server: of our client id.
struct LockOwner {
  uint64_t owner = 0;  // as the tenant names it
  bool flock = false;
  bool operator==(const LockOwner&) const = default;
};

// The locks of one owner on one open file: a stateid of its own.
struct Lock {
  LockOwner owner;
  uint32_t pid = 0;  // of the tenant's process
  StateId stateid;
  bool has_stateid = false;
  bool removed = false;  // while a recovery goes through the list: it goes afterwards
  LockRanges ranges;
};

// One open file of the tenant's: an OPEN with an open-owner of its own, so that it is closed alone.
class Open : public ListLink<>, public std::enable_shared_from_this<Open> {
 public:
  static constexpr uint8_t kSetbacksMax = 3;

  NodeId node{};
  uint32_t file = 0;  // of Files
  FileHandle handle;
  uint32_t access = 0;  // share::kRead, kWrite, or both
  uint64_t owner = 0;   // open-owner, unique in this client
  StateId stateid;
  Credential who;
  std::list<Lock, PoolAllocator<Lock>> locks;
  uint32_t errors_told = 0;  // of File::errors

  // Of what the server thinks of it:
  uint32_t round = 0;     // of recovery, in which it was tried
  uint32_t epoch = 0;     // counts how often it was given anew
  uint8_t setbacks = 0;   // how often a recovery began again because of it
  bool doubtful = false;  // the server said that it is none
  bool lost = false;      // it cannot be had any more: EIO
  bool closing = false;
  bool locks_again = false;  // a recovery goes through its locks

  void remove_lock(Lock& lock) noexcept {
    if (locks_again) {
      lock.removed = true;
      lock.ranges.clear();
    } else {
      locks.remove_if([&lock](const Lock& each) { return &each == &lock; });
    }
  }
};

using OpenRef = std::shared_ptr<Open>;

}  // namespace dpfs::nfs
