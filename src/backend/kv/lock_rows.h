// SPDX-License-Identifier: Apache-2.0
// The rows of a lock table: locks, their owners, and files; and the orders in which they are found.
#pragma once

#include <cstdint>
#include <tuple>

#include "backend/kv/treap.h"
#include "base/list.h"
#include "fuse/ids.h"

namespace dpfs::kv {

struct LocksOfSession;
class LockWait;
struct WaitsOfFile;  // tags of lists
struct WaitsOfSession;

// How far the locks of a subtree reach, and how far those of all other owners than that one.
// Owners are numbers of rows; `behind` is one behind the last byte, 0 for "none".
struct Reach {
  uint64_t behind = 0;
  uint64_t behind_of_others = 0;
  uint32_t owner = kNoRow;
  uint32_t other = kNoRow;  // whose behind_of_others is

  void add(uint64_t reaches, uint32_t whose) noexcept {
    if (whose == kNoRow) return;
    if (whose == owner) {
      behind = reaches > behind ? reaches : behind;
    } else if (reaches > behind) {
      behind_of_others = behind;
      other = owner;
      behind = reaches;
      owner = whose;
    } else if (reaches > behind_of_others) {
      behind_of_others = reaches;
      other = whose;
    }
  }
  void add(const Reach& reach) noexcept {
    add(reach.behind, reach.owner);
    add(reach.behind_of_others, reach.other);
  }
  uint64_t of_others_than(uint32_t whose) const noexcept {
    return owner == whose ? behind_of_others : behind;
  }
};

struct LockRow {
  uint64_t begin = 0;
  uint64_t behind = 0;
  uint32_t owner = kNoRow;
  uint32_t priority = 0;
  bool exclusive = false;
  TreapLink in_owner;
  TreapLink in_file;
  Reach reach;  // of the subtree in the file
};

// One owner of locks in one file: of fcntl(2) by the tenant's number for him, of flock(2) by the
// open file.
struct OwnerRow : ListLink<> {
  LocksOfSession* session = nullptr;
  uint64_t number = 0;
  Handle handle{};  // that was used last
  uint32_t file = kNoRow;
  uint32_t pid = 0;  // of the tenant's process that locked last
  uint32_t locks = kNoRow;
  uint32_t priority = 0;
  bool flock = false;
  TreapLink by_number;
  TreapLink by_handle;
};

// A file in which something is locked or waited for.
struct FileRow {
  // What locks of one kind there are. Shared and exclusive ones are apart: only the latter are in
  // the way of who wants to share.
  struct Held {
    uint32_t shared = kNoRow;
    uint32_t exclusive = kNoRow;
  };
  uint64_t inode = 0;
  uint32_t priority = 0;
  TreapLink by_inode;
  Held held_by_fcntl;
  Held held_by_flock;
  uint32_t owners = kNoRow;
  uint32_t handles = kNoRow;
  List<LockWait, WaitsOfFile> waits;  // first come first

  Held& held(bool flock) noexcept { return flock ? held_by_flock : held_by_fcntl; }
};

// The part of a session that is about what it holds.
struct LocksOfSession {
  uint64_t number = 0;  // never used again
  uint32_t count = 0;
  List<OwnerRow> owners;
};

// ---- Orders -------------------------------------------------------------------------------------

// An owner's locks never overlap.
struct InOwner {
  static TreapLink& link(LockRow& row) noexcept { return row.in_owner; }
  static bool before(const LockRow& a, const LockRow& b) noexcept { return a.begin < b.begin; }
  static void update(RowPool<LockRow>&, LockRow&) noexcept {}
};

// A file's locks of one kind and type; those of several owners may begin at the same byte.
struct InFile {
  static TreapLink& link(LockRow& row) noexcept { return row.in_file; }
  static bool before(const LockRow& a, const LockRow& b) noexcept {
    return std::tie(a.begin, a.owner) < std::tie(b.begin, b.owner);
  }
  static void update(RowPool<LockRow>& rows, LockRow& row) noexcept {
    row.reach = {};
    row.reach.add(row.behind, row.owner);
    if (row.in_file.left != kNoRow) row.reach.add(rows[row.in_file.left].reach);
    if (row.in_file.right != kNoRow) row.reach.add(rows[row.in_file.right].reach);
  }
};

struct ByNumber {
  static TreapLink& link(OwnerRow& row) noexcept { return row.by_number; }
  static auto key(const OwnerRow& row) noexcept {
    return std::tuple(row.session->number, row.flock, row.number);
  }
  static bool before(const OwnerRow& a, const OwnerRow& b) noexcept { return key(a) < key(b); }
  static void update(RowPool<OwnerRow>&, OwnerRow&) noexcept {}
};

struct ByHandle {
  static TreapLink& link(OwnerRow& row) noexcept { return row.by_handle; }
  static auto key(const OwnerRow& row) noexcept {
    return std::tuple(row.session->number, row.handle, row.flock, row.number);
  }
  static bool before(const OwnerRow& a, const OwnerRow& b) noexcept { return key(a) < key(b); }
  static void update(RowPool<OwnerRow>&, OwnerRow&) noexcept {}
};

struct ByInode {
  static TreapLink& link(FileRow& row) noexcept { return row.by_inode; }
  static bool before(const FileRow& a, const FileRow& b) noexcept { return a.inode < b.inode; }
  static void update(RowPool<FileRow>&, FileRow&) noexcept {}
};

}  // namespace dpfs::kv
