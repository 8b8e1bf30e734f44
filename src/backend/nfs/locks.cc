// SPDX-License-Identifier: Apache-2.0
// Locks of fcntl(2), and of flock(2) as locks of the whole file. Both are one kind to a server.
#include <fcntl.h>

#include <algorithm>

#include "backend/nfs/nfs_fs.h"

namespace dpfs {
namespace {

using nfs::kToTheEnd;
using nfs::LockOwner;
using nfs::LockRange;
using nfs::LockType;
using nfs::OpenRef;

// How often a lock that somebody has is asked for: NFS has no queue for those who wait.
constexpr uint64_t kFirstPauseNs = 5'000'000;
constexpr uint64_t kPauseNsMax = 500'000'000;

LockRange range_of(const LockArgs& args) noexcept {
  return {.begin = args.start,
          .end = args.end >= INT64_MAX ? kToTheEnd : args.end + 1,
          .type = args.type == F_WRLCK ? LockType::write : LockType::read};
}

LockOwner owner_of(const LockArgs& args) noexcept {
  return {.owner = args.owner, .flock = args.flock};
}

}  // namespace

nfs::Lock* NfsFs::lock_of(nfs::Open& open, const LockOwner& owner) noexcept {
  const auto found = std::ranges::find_if(
      open.locks, [&](const nfs::Lock& lock) { return lock.owner == owner && !lock.removed; });
  return found == open.locks.end() ? nullptr : &*found;
}

Op<fuse::LkOut> NfsFs::nfs_getlk(Request&, LockArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  nfs::TestLock call(client_);
  call.who = open->who;
  call.node = open->handle;
  call.owner = owner_of(args);
  call.range = range_of(args);
  const Result<Unit> done = co_await client_.perform(call);
  fuse::LkOut out{};
  out.lk.type = F_UNLCK;
  if (done) co_return out;
  if (call.status() != nfs::Status::denied) co_return done.error();
  out.lk.type = call.holder.range.type == LockType::write ? F_WRLCK : F_RDLCK;
  out.lk.start = call.holder.range.begin;
  out.lk.end = call.holder.range.end == kToTheEnd ? INT64_MAX : call.holder.range.end - 1;
  // Whose it is we know only where it is ours.
  if (call.holder.known && call.holder.client_id == client_.id()) {
    for (nfs::Open* other = states_.first(); other != nullptr; other = states_.after(*other)) {
      if (other->node != args.node) continue;
      if (const nfs::Lock* lock = lock_of(*other, call.holder.owner)) out.lk.pid = lock->pid;
    }
  }
  co_return out;
}

Op<Unit> NfsFs::nfs_setlk(Request&, LockArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  if (args.type == F_UNLCK) {
    const LockRange range = range_of(args);
    Op<Unit> unlocking = unlock(args.node, owner_of(args), range.begin, range.end);
    const Result<Unit> unlocked = co_await unlocking;
    co_return unlocked;
  }
  Op<Unit> locking = lock_now(open, args, nullptr);
  const Result<Unit> locked = co_await locking;
  co_return locked;
}

// flock(2) gives up a lock by this, too.
Op<Unit> NfsFs::nfs_setlkw(Request& request, LockArgs args) {
  const OpenRef open = find_open(args.handle, args.node);
  if (!open) co_return Errno::badf;
  if (args.type == F_UNLCK) {
    Op<Unit> unlocking = nfs_setlk(request, args);
    const Result<Unit> unlocked = co_await unlocking;
    co_return unlocked;
  }
  LockWait wait;
  wait.unique = request.header.unique;
  wait.owner = owner_of(args);
  if (early_interrupts_.take(wait.unique)) co_return Errno::intr;
  lock_waits_.push_back(wait);
  uint64_t pause_ns = kFirstPauseNs;
  Result<Unit> locked = Errno::again;
  while (true) {
    nfs::Holder holder;
    Op<Unit> locking = lock_now(open, args, &holder);
    locked = co_await locking;
    if (locked.error() != Errno::again || wait.why != Errno::none) break;
    wait.holder_is_ours = holder.known && holder.client_id == client_.id();
    wait.holder = holder.owner;
    if (would_wait_for_itself(wait)) {
      wait.why = Errno::deadlk;
      break;
    }
    Sleep sleep(timers_, pause_ns);
    wait.sleep = &sleep;
    co_await sleep;
    wait.sleep = nullptr;
    if (wait.why != Errno::none) break;
    pause_ns = std::min(pause_ns * 2, kPauseNsMax);
  }
  wait.unlink();
  if (!locked && wait.why != Errno::none) co_return wait.why;
  co_return locked;
}

// Whom it waits for waits for somebody, and so on: does it end with itself? As far as all of them
// are this tenant's, which is as far as Linux looks on one machine.
bool NfsFs::would_wait_for_itself(const LockWait& wait) noexcept {
  constexpr int kLinksMax = 64;
  if (wait.owner.flock) return false;
  const LockWait* link = &wait;
  for (int i = 0; i < kLinksMax && link != nullptr && link->holder_is_ours; ++i) {
    const LockOwner& holder = link->holder;
    if (holder == wait.owner) return true;
    link = nullptr;
    for (LockWait* each = lock_waits_.front(); each != nullptr; each = lock_waits_.after(*each)) {
      if (each->owner == holder) link = each;
    }
  }
  return false;
}

Op<Unit> NfsFs::lock_now(OpenRef open, LockArgs args, nfs::Holder* holder) {
  if (open->closing) co_return Errno::badf;
  if (open->lost) co_return Errno::io;
  nfs::File& file = files_.at(open->file);
  const Using keeps(*this, file);
  co_await file.locking.lock();
  Op<Unit> locking = lock_locked(open, file, args, holder);
  const Result<Unit> done = co_await locking;
  file.locking.unlock(reactor_);
  co_return done;
}

// What others are to see when they have the lock after us is stored when it is given up; what they
// wrote before us is seen because nothing of theirs is kept here.
Op<Unit> NfsFs::lock_locked(OpenRef open, nfs::File& file, LockArgs args, nfs::Holder* holder) {
  const LockOwner owner = owner_of(args);
  // All locks of one owner go by the open that has the first: some servers want it so.
  if (const OpenRef first = find_locked(file, owner, 0, kToTheEnd)) open = first;
  const bool writes = args.type == F_WRLCK;
  if (writes && (open->access & nfs::share::kWrite) == 0 && !args.flock) {
    Op<Unit> allowing = allow_writing(*open);
    const Result<Unit> allowed = co_await allowing;
    if (!allowed) co_return allowed.error();
  }
  nfs::Lock* lock = lock_of(*open, owner);
  if (lock == nullptr) {
    open->locks.emplace_back();
    lock = &open->locks.back();
    lock->owner = owner;
  }
  lock->pid = args.pid;
  nfs::LockCall call(client_);
  call.who = open->who;
  call.node = open->handle;
  call.open = open.get();
  call.lock = lock;
  call.range = range_of(args);
  const Result<Unit> done = co_await client_.perform(call);
  if (done) {
    lock->stateid = call.stateid;
    lock->has_stateid = true;
    lock->ranges.lock(call.range);
    file.has_locks = true;
    file.locked_change = call.change;
    co_return Unit{};
  }
  if (!lock->has_stateid && lock->ranges.empty()) open->remove_lock(*lock);
  if (call.status() != nfs::Status::denied) co_return done;
  if (holder != nullptr) *holder = call.holder;
  co_return Errno::again;
}

// By its owner, who has it open for writing elsewhere: the server widens what there is.
Op<Unit> NfsFs::allow_writing(nfs::Open& open) {
  nfs::OpenCall call(client_);
  call.who = open.who;
  call.node = open.handle;
  call.access = nfs::share::kBoth;
  call.owner = open.owner;
  const Result<Unit> done = co_await client_.perform(call);
  if (!done) co_return done.error();
  open.access = nfs::share::kBoth;
  open.stateid = call.stateid;
  co_return Unit{};
}

// One of the file's opens by which the owner has something of that range.
OpenRef NfsFs::find_locked(const nfs::File& file, const LockOwner& owner, uint64_t begin,
                           uint64_t end) noexcept {
  for (nfs::Open* open = states_.first(); open != nullptr; open = states_.after(*open)) {
    if (open->file != file.index || open->lost) continue;
    const nfs::Lock* lock = lock_of(*open, owner);
    if (lock == nullptr || !lock->has_stateid) continue;
    const auto overlaps = [begin, end](const LockRange& range) {
      return range.begin < end && range.end > begin;
    };
    if (std::ranges::any_of(lock->ranges.all(), overlaps)) return open->shared_from_this();
  }
  return nullptr;
}

// The owner's, by whichever of the file's opens they were taken: to the server they are one.
Op<Unit> NfsFs::unlock(NodeId node, LockOwner owner, uint64_t begin, uint64_t end) {
  nfs::NodeRow* row = nodes_.find(node);
  if (row == nullptr || row->file == nfs::kNoFile) co_return Unit{};
  nfs::File& file = files_.at(row->file);
  const Using keeps(*this, file);
  // Whoever has the lock next is to see what was written under it.
  Op<Unit> storing = store(file);
  [[maybe_unused]] const Result<Unit> stored = co_await storing;  // the next fsync tells; it goes
  co_await file.locking.lock();
  Result<Unit> done = Unit{};
  while (done) {
    const OpenRef open = find_locked(file, owner, begin, end);
    if (!open) break;
    nfs::Lock* lock = lock_of(*open, owner);
    nfs::Unlock call(client_);
    call.who = open->who;
    call.node = open->handle;
    call.open = open.get();
    call.lock = lock;
    call.begin = begin;
    call.end = end;
    done = co_await client_.perform(call);
    if (done) lock->ranges.unlock(begin, end);
  }
  file.locking.unlock(reactor_);
  co_return done;
}

Op<Unit> NfsFs::drop_locks(NodeId node, LockOwner owner) {
  bool any = false;
  for (nfs::Open* open = states_.first(); open != nullptr; open = states_.after(*open)) {
    if (open->node != node) continue;
    const nfs::Lock* lock = lock_of(*open, owner);
    any = any || lock != nullptr;
  }
  if (!any) co_return Unit{};
  Op<Unit> unlocking = unlock(node, owner, 0, kToTheEnd);
  const Result<Unit> unlocked = co_await unlocking;
  if (!unlocked) co_return unlocked.error();
  Op<Unit> forgetting = forget_lock_owner(node, owner);
  const Result<Unit> forgotten = co_await forgetting;
  co_return forgotten;
}

// Owners come and go (each process of a tenant is one): neither we nor the server are to keep
// those that have no locks.
Op<Unit> NfsFs::forget_lock_owner(NodeId node, LockOwner owner) {
  nfs::NodeRow* row = nodes_.find(node);
  if (row == nullptr || row->file == nfs::kNoFile) co_return Unit{};
  nfs::File& file = files_.at(row->file);
  const Using keeps(*this, file);
  co_await file.locking.lock();
  nfs::Open* open = states_.first();
  while (open != nullptr) {
    nfs::Lock* lock = open->file == file.index ? lock_of(*open, owner) : nullptr;
    if (lock == nullptr || !lock->ranges.empty()) {
      open = states_.after(*open);
      continue;
    }
    nfs::FreeState call;
    call.stateid = lock->stateid;
    const bool had_one = lock->has_stateid && !open->lost;
    open->remove_lock(*lock);
    if (!had_one) continue;
    [[maybe_unused]] const Result<Unit> freed = co_await client_.perform(call);
    open = states_.first();  // there may be others now
  }
  file.locking.unlock(reactor_);
  co_return Unit{};
}

// Of an open that is being closed: flock(2)'s, and what a tenant has left behind.
Op<Unit> NfsFs::drop_all_locks(OpenRef open) {
  for (nfs::Lock& lock : open->locks) {
    if (!lock.has_stateid || lock.ranges.empty() || open->lost) continue;
    nfs::Unlock call(client_);
    call.who = open->who;
    call.node = open->handle;
    call.open = open.get();
    call.lock = &lock;
    const Result<Unit> done = co_await client_.perform(call);
    if (!done) break;
    lock.ranges.clear();
  }
  co_return Unit{};
}

}  // namespace dpfs
