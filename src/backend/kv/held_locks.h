// SPDX-License-Identifier: Apache-2.0
// HeldLocks: which bytes of which files are locked, by whom, and what is in whose way.
#pragma once

#include <cstdint>

#include "backend/kv/lock_rows.h"
#include "base/result.h"

namespace dpfs::kv {

// Who may hold locks of one kind in one file: an owner of fcntl(2)'s, by the tenant's number for
// him, or of flock(2)'s, by the number of the open file's handle.
struct LockOwner {
  LocksOfSession* session;
  uint64_t inode;
  uint64_t number;
  bool flock;
};
// What somebody wants to lock or to give up.
struct LockClaim {
  LockOwner owner;
  uint64_t begin;
  uint64_t behind;  // one behind the last byte; more than `begin`
  bool exclusive;
  Handle handle;
  uint32_t pid;
};

// The rules are those of fcntl(2) for one owner and one kind: what is locked replaces what the
// owner had there; what is given up is cut out of it; neighbours of one type are one lock. Locks of
// different owners are kept apart by who asks in_the_way() before lock().
//
// Every operation takes logarithmic time, and a little more for each of the owner's own locks that
// it replaces. Locks are bounded by session; memory, some 200 bytes for one, is taken a chunk at a
// time and nothing where nothing is locked.
class HeldLocks {
 public:
  // Bounds the memory, and what dropping them all at once takes: some 10 ms.
  static constexpr uint32_t kLocksOfSessionMax = 1u << 16;

  HeldLocks() noexcept;
  HeldLocks(const HeldLocks&) = delete;
  HeldLocks& operator=(const HeldLocks&) = delete;

  // The first lock, by where it begins, of another owner that excludes the claim; or nullptr. An
  // exclusive one goes before a shared one.
  const LockRow* in_the_way(const LockClaim& claim) noexcept;
  const OwnerRow& owner_of(const LockRow& lock) noexcept { return owners_[lock.owner]; }
  // The owner holds exactly this already.
  bool holds(const LockClaim& claim) noexcept;

  // Both: true when the owner has given up something that was in others' way.
  // ENOLCK, and nothing is changed: the session has too many locks, or memory is out. Unlocking the
  // middle of a lock makes two of one, so it may fail too (fcntl(2) says so).
  Result<bool> lock(const LockClaim& claim) noexcept;
  Result<bool> unlock(const LockClaim& claim) noexcept;

  // All locks of that owner in that file. False: there were none.
  bool drop(const LockOwner& owner) noexcept;
  // Those in that file of all who used that handle last.
  bool drop(const LocksOfSession& session, uint64_t inode, Handle handle) noexcept;
  // All of the session's in one of its files, which is told. False: it has none left.
  bool drop_one_file(LocksOfSession& session, uint64_t& inode) noexcept;

  // The file's row; nullptr where nothing is locked and nobody waits.
  FileRow* find_file(uint64_t inode) noexcept;
  // nullptr: memory is out.
  FileRow* make_file(uint64_t inode) noexcept;
  // To be called when the last wait has left it.
  void drop_if_unused(uint64_t inode) noexcept;

  uint32_t locks() const noexcept { return locks_.used(); }
  uint32_t files() const noexcept { return files_.used(); }

 private:
  struct Bytes {
    uint64_t begin;
    uint64_t behind;
  };

  uint32_t file_row(uint64_t inode) noexcept;
  uint32_t owner_row(const LockOwner& owner) noexcept;
  uint32_t make_owner(const LockOwner& owner) noexcept;
  void note_use(uint32_t owner, const LockClaim& claim) noexcept;
  void drop_row(uint32_t owner) noexcept;
  void drop_subtree(uint32_t lock) noexcept;
  void forget_owner(uint32_t owner) noexcept;
  uint32_t find_in_the_way(uint32_t root, const LockClaim& claim, uint32_t owner) noexcept;
  // The owner's first lock that ends behind `offset`.
  uint32_t first_behind(uint32_t owner, uint64_t offset) noexcept;
  uint32_t& tree_of(const LockRow& lock) noexcept;
  void add(uint32_t owner, Bytes bytes, bool exclusive) noexcept;
  void remove(uint32_t lock) noexcept;
  void cut_out(uint32_t lock, const LockClaim& claim) noexcept;
  uint32_t random() noexcept;

  RowPool<LockRow> locks_;
  RowPool<OwnerRow> owners_;
  RowPool<FileRow> files_;
  Treap<LockRow, InOwner> in_owner_{locks_};
  Treap<LockRow, InFile> in_file_{locks_};
  Treap<OwnerRow, ByNumber> by_number_{owners_};
  Treap<OwnerRow, ByHandle> by_handle_{owners_};
  Treap<FileRow, ByInode> by_inode_{files_};
  uint32_t all_files_ = kNoRow;
  uint64_t random_;
};

}  // namespace dpfs::kv
