// SPDX-License-Identifier: Apache-2.0
// Locks in trees: one of each owner in a file, and one of each kind and type in the file.
#include "backend/kv/held_locks.h"

#include <algorithm>

#include "backend/kv/random_seed.h"

namespace dpfs::kv {

HeldLocks::HeldLocks() noexcept : random_(random_seed() | 1) {}

// xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators".
uint32_t HeldLocks::random() noexcept {
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return static_cast<uint32_t>((random_ * 0x2545f4914f6cdd1d) >> 32);
}

// ---- Files and owners ---------------------------------------------------------------------------

uint32_t HeldLocks::file_row(uint64_t inode) noexcept {
  const uint32_t row =
      by_inode_.first_not(all_files_, [&](const FileRow& file) { return file.inode < inode; });
  return row != kNoRow && files_[row].inode == inode ? row : kNoRow;
}

FileRow* HeldLocks::find_file(uint64_t inode) noexcept {
  const uint32_t row = file_row(inode);
  return row == kNoRow ? nullptr : &files_[row];
}

FileRow* HeldLocks::make_file(uint64_t inode) noexcept {
  if (FileRow* known = find_file(inode)) return known;
  const uint32_t row = files_.take();
  if (row == kNoRow) return nullptr;
  FileRow& file = files_[row];
  file.inode = inode;
  file.priority = random();
  by_inode_.insert(all_files_, row);
  return &file;
}

void HeldLocks::drop_if_unused(uint64_t inode) noexcept {
  const uint32_t row = file_row(inode);
  if (row == kNoRow || files_[row].owners != kNoRow || !files_[row].waits.empty()) return;
  by_inode_.erase(all_files_, row);
  files_.give(row);
}

uint32_t HeldLocks::owner_row(const LockOwner& who) noexcept {
  const uint32_t file = file_row(who.inode);
  if (file == kNoRow) return kNoRow;
  const std::tuple key(who.session->number, who.flock, who.number);
  const uint32_t row = by_number_.first_not(
      files_[file].owners, [&](const OwnerRow& owner) { return ByNumber::key(owner) < key; });
  return row != kNoRow && ByNumber::key(owners_[row]) == key ? row : kNoRow;
}

uint32_t HeldLocks::make_owner(const LockOwner& who) noexcept {
  if (make_file(who.inode) == nullptr) return kNoRow;
  const uint32_t row = owners_.take();
  if (row == kNoRow) {
    drop_if_unused(who.inode);
    return kNoRow;
  }
  OwnerRow& owner = owners_[row];
  owner.session = who.session;
  owner.number = who.number;
  owner.flock = who.flock;
  owner.file = file_row(who.inode);
  owner.priority = random();
  by_number_.insert(files_[owner.file].owners, row);
  by_handle_.insert(files_[owner.file].handles, row);
  who.session->owners.push_back(owner);
  return row;
}

void HeldLocks::note_use(uint32_t row, const LockClaim& claim) noexcept {
  OwnerRow& owner = owners_[row];
  owner.pid = claim.pid;
  if (owner.handle == claim.handle) return;
  uint32_t& handles = files_[owner.file].handles;
  by_handle_.erase(handles, row);
  owner.handle = claim.handle;
  by_handle_.insert(handles, row);
}

// It has no locks left.
void HeldLocks::forget_owner(uint32_t row) noexcept {
  OwnerRow& owner = owners_[row];
  FileRow& file = files_[owner.file];
  by_number_.erase(file.owners, row);
  by_handle_.erase(file.handles, row);
  owner.unlink();
  owners_.give(row);
  drop_if_unused(file.inode);
}

// ---- What is in the way -------------------------------------------------------------------------

// A subtree whose other locks all end before the claim begins is passed over. In one where some do
// not, either one of them overlaps, or it and all that is to its right begin behind the claim.
uint32_t HeldLocks::find_in_the_way(uint32_t root, const LockClaim& claim,
                                    uint32_t owner) noexcept {
  if (root == kNoRow) return kNoRow;
  const LockRow& top = locks_[root];
  if (top.reach.of_others_than(owner) <= claim.begin) return kNoRow;
  const uint32_t found = find_in_the_way(top.in_file.left, claim, owner);
  if (found != kNoRow) return found;
  if (top.begin >= claim.behind) return kNoRow;
  if (top.owner != owner && top.behind > claim.begin) return root;
  return find_in_the_way(top.in_file.right, claim, owner);
}

const LockRow* HeldLocks::in_the_way(const LockClaim& claim) noexcept {
  FileRow* file = find_file(claim.owner.inode);
  if (file == nullptr) return nullptr;
  const FileRow::Held& held = file->held(claim.owner.flock);
  const uint32_t owner = owner_row(claim.owner);
  uint32_t found = find_in_the_way(held.exclusive, claim, owner);
  if (found == kNoRow && claim.exclusive) found = find_in_the_way(held.shared, claim, owner);
  return found == kNoRow ? nullptr : &locks_[found];
}

uint32_t HeldLocks::first_behind(uint32_t owner, uint64_t offset) noexcept {
  return in_owner_.first_not(owners_[owner].locks,
                             [&](const LockRow& lock) { return lock.behind <= offset; });
}

bool HeldLocks::holds(const LockClaim& claim) noexcept {
  const uint32_t owner = owner_row(claim.owner);
  if (owner == kNoRow) return false;
  const uint32_t row = first_behind(owner, claim.begin);
  if (row == kNoRow) return false;
  const LockRow& lock = locks_[row];
  return lock.begin <= claim.begin && lock.behind >= claim.behind &&
         lock.exclusive == claim.exclusive;
}

// ---- Locking and unlocking ----------------------------------------------------------------------

uint32_t& HeldLocks::tree_of(const LockRow& lock) noexcept {
  const OwnerRow& owner = owners_[lock.owner];
  FileRow::Held& held = files_[owner.file].held(owner.flock);
  return lock.exclusive ? held.exclusive : held.shared;
}

// Memory has been reserved.
void HeldLocks::add(uint32_t owner, Bytes bytes, bool exclusive) noexcept {
  const uint32_t row = locks_.take();
  DPFS_ASSERT(row != kNoRow);
  LockRow& lock = locks_[row];
  lock.begin = bytes.begin;
  lock.behind = bytes.behind;
  lock.owner = owner;
  lock.priority = random();
  lock.exclusive = exclusive;
  in_owner_.insert(owners_[owner].locks, row);
  in_file_.insert(tree_of(lock), row);
  ++owners_[owner].session->count;
}

void HeldLocks::remove(uint32_t row) noexcept {
  const LockRow& lock = locks_[row];
  OwnerRow& owner = owners_[lock.owner];
  in_file_.erase(tree_of(lock), row);
  in_owner_.erase(owner.locks, row);
  --owner.session->count;
  locks_.give(row);
}

// Leaves what the lock has outside of what is claimed.
void HeldLocks::cut_out(uint32_t row, const LockClaim& claim) noexcept {
  const LockRow& lock = locks_[row];
  const Bytes left{.begin = lock.begin, .behind = claim.begin};
  const Bytes right{.begin = claim.behind, .behind = lock.behind};
  const uint32_t owner = lock.owner;
  const bool exclusive = lock.exclusive;
  remove(row);
  if (left.begin < left.behind) add(owner, left, exclusive);
  if (right.begin < right.behind) add(owner, right, exclusive);
}

Result<bool> HeldLocks::lock(const LockClaim& claim) noexcept {
  uint32_t owner = owner_row(claim.owner);
  if (owner != kNoRow && holds(claim)) {
    note_use(owner, claim);
    return false;
  }
  // In the middle of one of the other type it makes three of one.
  if (claim.owner.session->count + 2 > kLocksOfSessionMax || !locks_.reserve(3)) {
    return Errno::nolck;
  }
  if (owner == kNoRow) owner = make_owner(claim.owner);
  if (owner == kNoRow) return Errno::nolck;
  note_use(owner, claim);

  Bytes bytes{.begin = claim.begin, .behind = claim.behind};
  bool gave_up = false;
  // From the one that ends where the claim begins, which may be a neighbour of its type.
  uint32_t row = first_behind(owner, claim.begin == 0 ? 0 : claim.begin - 1);
  while (row != kNoRow && locks_[row].begin <= claim.behind) {
    const LockRow& own = locks_[row];
    const uint64_t own_behind = own.behind;
    if (own.exclusive == claim.exclusive) {
      bytes.begin = std::min(bytes.begin, own.begin);
      bytes.behind = std::max(bytes.behind, own_behind);
      remove(row);
    } else if (own.behind > claim.begin && own.begin < claim.behind) {
      gave_up |= own.exclusive;
      cut_out(row, claim);
    }
    if (own_behind > claim.behind) break;
    row = first_behind(owner, own_behind);
  }
  add(owner, bytes, claim.exclusive);
  return gave_up;
}

Result<bool> HeldLocks::unlock(const LockClaim& claim) noexcept {
  const uint32_t owner = owner_row(claim.owner);
  if (owner == kNoRow) return false;
  uint32_t row = first_behind(owner, claim.begin);
  if (row == kNoRow || locks_[row].begin >= claim.behind) return false;
  const bool splits = locks_[row].begin < claim.begin && locks_[row].behind > claim.behind;
  if (splits && claim.owner.session->count >= kLocksOfSessionMax) return Errno::nolck;
  if (!locks_.reserve(2)) return Errno::nolck;
  while (row != kNoRow && locks_[row].begin < claim.behind) {
    cut_out(row, claim);
    row = first_behind(owner, claim.begin);
  }
  if (owners_[owner].locks == kNoRow) forget_owner(owner);
  return true;
}

// ---- Dropping -----------------------------------------------------------------------------------

void HeldLocks::drop_row(uint32_t owner) noexcept {
  drop_subtree(owners_[owner].locks);
  owners_[owner].locks = kNoRow;
  forget_owner(owner);
}

// An owner's tree goes as a whole: it need not be kept in order meanwhile.
void HeldLocks::drop_subtree(uint32_t row) noexcept {
  if (row == kNoRow) return;
  const LockRow& lock = locks_[row];
  drop_subtree(lock.in_owner.left);
  drop_subtree(lock.in_owner.right);
  in_file_.erase(tree_of(lock), row);
  --owners_[lock.owner].session->count;
  locks_.give(row);
}

bool HeldLocks::drop(const LockOwner& owner) noexcept {
  const uint32_t row = owner_row(owner);
  if (row == kNoRow) return false;
  drop_row(row);
  return true;
}

bool HeldLocks::drop(const LocksOfSession& session, uint64_t inode, Handle handle) noexcept {
  const std::tuple key(session.number, handle, false, uint64_t{0});
  bool dropped = false;
  while (FileRow* file = find_file(inode)) {
    const uint32_t row = by_handle_.first_not(
        file->handles, [&](const OwnerRow& owner) { return ByHandle::key(owner) < key; });
    if (row == kNoRow || owners_[row].session != &session || owners_[row].handle != handle) break;
    drop_row(row);
    dropped = true;
  }
  return dropped;
}

bool HeldLocks::drop_one_file(LocksOfSession& session, uint64_t& inode) noexcept {
  const OwnerRow* any = session.owners.front();
  if (any == nullptr) return false;
  inode = files_[any->file].inode;
  const std::tuple key(session.number, false, uint64_t{0});
  while (FileRow* file = find_file(inode)) {
    const uint32_t row = by_number_.first_not(
        file->owners, [&](const OwnerRow& owner) { return ByNumber::key(owner) < key; });
    if (row == kNoRow || owners_[row].session != &session) break;
    drop_row(row);
  }
  return true;
}

}  // namespace dpfs::kv
