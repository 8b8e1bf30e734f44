// SPDX-License-Identifier: Apache-2.0
// Who gets which lock, when, and who would wait for ever.
#include "backend/kv/lock_table.h"

#include <fcntl.h>

#include "backend/kv/lock_wait.h"

namespace dpfs::kv {
namespace {

constexpr uint64_t kBehindAll = uint64_t{INT64_MAX} + 1;

LockClaim claim_of(LocksOfSession& session, uint64_t inode, const LockArgs& args) noexcept {
  return {.owner = {.session = &session,
                    .inode = inode,
                    .number = args.flock ? static_cast<uint64_t>(args.handle) : args.owner,
                    .flock = args.flock},
          .begin = args.flock ? 0 : args.start,
          .behind = args.flock ? kBehindAll : args.end + 1,
          .exclusive = args.type == F_WRLCK,
          .handle = args.handle,
          .pid = args.pid};
}

}  // namespace

// ---- The table ----------------------------------------------------------------------------------

Result<Unit> LockTable::acquire(const LockClaim& claim) noexcept {
  const LockOwner& owner = claim.owner;
  bool gave_up = false;
  if (owner.flock && !held_.holds(claim)) gave_up = held_.drop(owner);
  Result<Unit> result = Errno::again;
  if (held_.in_the_way(claim) == nullptr) {
    const Result<bool> locked = held_.lock(claim);
    result = locked ? Result<Unit>(Unit{}) : Result<Unit>(locked.error());
    gave_up |= locked && *locked;
  }
  if (gave_up) serve(owner.inode, owner.flock);
  return result;
}

Result<Unit> LockTable::release(const LockClaim& claim) noexcept {
  const Result<bool> done = held_.unlock(claim);
  if (!done) return done.error();
  if (*done) serve(claim.owner.inode, claim.owner.flock);
  return Unit{};
}

void LockTable::serve(uint64_t inode, bool flock) noexcept {
  FileRow* file = held_.find_file(inode);
  if (file == nullptr || file->waits.empty()) return;
  LockWait* next = file->waits.front();
  while (next != nullptr) {
    LockWait& wait = *next;
    next = file->waits.after(wait);
    if (wait.claim_.owner.flock != flock) continue;
    if (const LockRow* in_its_way = held_.in_the_way(wait.claim_)) {
      look_for_deadlock(wait, *in_its_way);
      continue;
    }
    const Result<bool> locked = held_.lock(wait.claim_);
    end(wait, locked ? Result<Unit>(Unit{}) : Result<Unit>(locked.error()));
    // The owner may have changed what he had to a shared lock: somebody in front may have waited
    // for that. Each time round, somebody has been served.
    if (locked && *locked) next = file->waits.front();
  }
  held_.drop_if_unused(inode);
}

void LockTable::look_for_deadlock(LockWait& wait, const LockRow& in_its_way) noexcept {
  const OwnerRow& owner = held_.owner_of(in_its_way);
  if (owner.session->number == wait.session_in_the_way_ && owner.number == wait.owner_in_the_way_) {
    return;
  }
  wait.session_in_the_way_ = owner.session->number;
  wait.owner_in_the_way_ = owner.number;
  if (closes_a_cycle(wait.claim_, &in_its_way)) end(wait, Errno::deadlk);
}

// As Linux looks for it (posix_locks_deadlock()): from the owner in the way to what he waits for,
// to who is in his way, and so on; one for each, and not further than some steps.
bool LockTable::closes_a_cycle(const LockClaim& claim, const LockRow* in_the_way) noexcept {
  if (claim.owner.flock) return false;
  for (uint32_t step = 0; step < kDeadlockSteps && in_the_way != nullptr; ++step) {
    const OwnerRow& owner = held_.owner_of(*in_the_way);
    if (owner.session == claim.owner.session && owner.number == claim.owner.number) return true;
    const LockWait* wait = static_cast<LockSession*>(owner.session)->wait_of(owner.number);
    if (wait == nullptr) return false;
    in_the_way = held_.in_the_way(wait->claim_);
  }
  return false;
}

void LockTable::end(LockWait& wait, Result<Unit> result) noexcept {
  wait.ListLink<WaitsOfFile>::unlink();
  wait.ListLink<WaitsOfSession>::unlink();
  --wait.session_.waiting_;
  wait.result_ = result;
  reactor_.next_turn(wait);
}

// ---- A session ----------------------------------------------------------------------------------

Result<fuse::LkOut> LockSession::test(uint64_t inode, const LockArgs& args) noexcept {
  if (args.flock) return Errno::inval;
  fuse::LkOut out{};
  out.lk.type = F_UNLCK;
  const LockRow* lock = table_.held_.in_the_way(claim_of(*this, inode, args));
  if (lock == nullptr) return out;
  const OwnerRow& owner = table_.held_.owner_of(*lock);
  out.lk.start = lock->begin;
  out.lk.end = lock->behind - 1;
  out.lk.type = lock->exclusive ? F_WRLCK : F_RDLCK;
  out.lk.pid = owner.session == this ? owner.pid : 0;
  return out;
}

Result<Unit> LockSession::set(uint64_t inode, const LockArgs& args) noexcept {
  const LockClaim claim = claim_of(*this, inode, args);
  return args.type == F_UNLCK ? table_.release(claim) : table_.acquire(claim);
}

void LockSession::drop_owner(uint64_t inode, uint64_t owner) noexcept {
  if (count == 0) return;
  if (table_.held_.drop({.session = this, .inode = inode, .number = owner, .flock = false})) {
    table_.serve(inode, false);
  }
}

void LockSession::drop_handle(uint64_t inode, Handle handle) noexcept {
  LockWait* next = waits_.front();
  while (next != nullptr) {
    LockWait& wait = *next;
    next = waits_.after(wait);
    if (wait.claim_.owner.inode == inode && wait.claim_.handle == handle) {
      table_.end(wait, Errno::badf);
    }
  }
  table_.held_.drop_if_unused(inode);
  if (count == 0 || !table_.held_.drop(*this, inode, handle)) return;
  table_.serve(inode, false);
  table_.serve(inode, true);
}

// Of several waits of one owner (threads of one process) the first.
LockWait* LockSession::wait_of(uint64_t owner) noexcept {
  for (LockWait* wait = waits_.front(); wait != nullptr; wait = waits_.after(*wait)) {
    if (!wait->claim_.owner.flock && wait->claim_.owner.number == owner) return wait;
  }
  return nullptr;
}

void LockSession::interrupt(uint64_t unique) noexcept {
  for (LockWait* wait = waits_.front(); wait != nullptr; wait = waits_.after(*wait)) {
    if (wait->unique_ != unique) continue;
    const uint64_t inode = wait->claim_.owner.inode;
    table_.end(*wait, Errno::intr);
    return table_.held_.drop_if_unused(inode);
  }
  early_.remember(unique);
}

void LockSession::end_waits() noexcept {
  while (LockWait* wait = waits_.front()) {
    const uint64_t inode = wait->claim_.owner.inode;
    table_.end(*wait, Errno::nolck);
    table_.held_.drop_if_unused(inode);
  }
}

void LockSession::clear() noexcept {
  end_waits();
  early_.clear();
  uint64_t inode = 0;
  while (table_.held_.drop_one_file(*this, inode)) {
    table_.serve(inode, false);
    table_.serve(inode, true);
  }
}

// ---- A wait -------------------------------------------------------------------------------------

LockWait::LockWait(LockSession& session, uint64_t unique, uint64_t inode,
                   const LockArgs& args) noexcept
    : session_(session), unique_(unique), claim_(claim_of(session, inode, args)) {
  run = [](Completion& self) noexcept { static_cast<LockWait&>(self).waiter_.resume(); };
}

bool LockWait::await_ready() noexcept {
  LockTable& table = session_.table_;
  result_ = table.acquire(claim_);
  if (result_ || result_.error() != Errno::again) return true;
  const LockRow* in_the_way = table.held_.in_the_way(claim_);
  DPFS_ASSERT(in_the_way != nullptr);
  const OwnerRow& owner = table.held_.owner_of(*in_the_way);
  session_in_the_way_ = owner.session->number;
  owner_in_the_way_ = owner.number;
  if (session_.early_.take(unique_)) {
    result_ = Errno::intr;
  } else if (session_.waiting_ >= LockSession::kWaitsMax) {
    result_ = Errno::nolck;
  } else if (table.closes_a_cycle(claim_, in_the_way)) {
    result_ = Errno::deadlk;
  } else {
    return false;
  }
  return true;
}

// What was found in the way is still there: the file's row is.
void LockWait::await_suspend(std::coroutine_handle<> waiter) noexcept {
  waiter_ = waiter;
  session_.table_.held_.find_file(claim_.owner.inode)->waits.push_back(*this);
  session_.waits_.push_back(*this);
  ++session_.waiting_;
}

}  // namespace dpfs::kv
