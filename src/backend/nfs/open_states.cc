// SPDX-License-Identifier: Apache-2.0
// Reclaiming and opening again.
#include "backend/nfs/open_states.h"

#include "backend/nfs/status.h"
#include "base/log.h"

namespace dpfs::nfs {

OpenRef OpenStates::any_writer(uint32_t file) noexcept {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    // One that is being closed, too: what is kept is stored before that.
    if (open->file == file && !open->lost && (open->access & share::kWrite) != 0) {
      return open->shared_from_this();
    }
  }
  return nullptr;
}

void OpenStates::doubt_all() noexcept {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    open->doubtful = !open->lost;
  }
}

void OpenStates::settled() noexcept {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    open->setbacks = 0;
  }
}

// Opens may be closed while one of them is awaited, so the search begins anew each time.
Open* OpenStates::next_untried() noexcept {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    if (open->doubtful && open->round != round_) return open;
  }
  return nullptr;
}

Op<Unit> OpenStates::reclaim() {
  ++round_;
  doubt_all();
  while (Open* open = next_untried()) {
    const OpenRef kept = open->shared_from_this();
    kept->round = round_;
    Op<Unit> reclaiming = reclaim_one(*kept);
    const Result<Unit> reclaimed = co_await reclaiming;
    if (!reclaimed) co_return reclaimed.error();
  }
  co_return Unit{};
}

Op<Unit> OpenStates::reclaim_one(Open& open) {
  OpenCall call(client_);
  call.recovers = true;
  call.who = open.who;
  call.node = open.handle;
  call.claim = OpenCall::Claim::previous;
  call.access = open.access;
  call.owner = open.owner;
  Result<Unit> done = co_await client_.perform(call);
  if (!done) {
    if (done.error() == Errno::canceled) co_return Errno::canceled;
    co_return Unit{};  // NO_GRACE, RECLAIM_BAD and the like: reopen() tries
  }
  open.stateid = call.stateid;
  ++open.epoch;
  Op<bool> locking = lock_again(open, true);
  const Result<bool> locked = co_await locking;
  if (!locked) co_return locked.error();
  open.doubtful = false;
  co_return Unit{};
}

Op<Unit> OpenStates::reopen() {
  const uint32_t reclaimed_in = round_++;
  while (Open* open = next_untried()) {
    const OpenRef kept = open->shared_from_this();
    // What a server has revoked it wants to have back; after a restart it knows nothing of it.
    if (kept->round != reclaimed_in || kept->round == 0) {
      Op<Unit> giving = give_back(*kept);
      const Result<Unit> given = co_await giving;
      if (!given) co_return given.error();
    }
    kept->round = round_;
    Op<Unit> reopening = reopen_one(*kept);
    const Result<Unit> reopened = co_await reopening;
    if (!reopened) co_return reopened.error();
  }
  co_return Unit{};
}

// RFC 8881, section 8.4.2.4.
Op<Unit> OpenStates::give_back(Open& open) {
  for (Lock& lock : open.locks) {
    if (!lock.has_stateid) continue;
    FreeState call;
    call.recovers = true;
    call.stateid = lock.stateid;
    const Result<Unit> freed = co_await client_.perform(call);
    if (!freed && freed.error() == Errno::canceled) co_return Errno::canceled;
  }
  FreeState call;
  call.recovers = true;
  call.stateid = open.stateid;
  const Result<Unit> freed = co_await client_.perform(call);
  if (!freed && freed.error() == Errno::canceled) co_return Errno::canceled;
  co_return Unit{};
}

Op<Unit> OpenStates::reopen_one(Open& open) {
  OpenCall call(client_);
  call.recovers = true;
  call.who = open.who;
  call.node = open.handle;
  call.claim = OpenCall::Claim::handle;
  call.access = open.access;
  call.owner = open.owner;
  const Result<Unit> done = co_await client_.perform(call);
  if (!done && done.error() == Errno::canceled) co_return Errno::canceled;
  if (!done) {
    lose(open, "open", call.status());
    co_return Unit{};
  }
  open.stateid = call.stateid;
  ++open.epoch;
  Op<bool> locking = lock_again(open, false);
  const Result<bool> locked = co_await locking;
  if (!locked) co_return locked.error();
  open.doubtful = false;
  co_return Unit{};
}

// False when a lock could not be had; the open is lost then. A lock that is not reclaimed may have
// been somebody else's meanwhile: it is ours again only when the file is as we left it.
Op<bool> OpenStates::lock_again(Open& open, bool reclaim) {
  open.locks_again = true;
  Op<bool> locking = lock_each_again(open, reclaim);
  const Result<bool> locked = co_await locking;
  open.locks_again = false;
  open.locks.remove_if([](const Lock& lock) { return lock.removed; });
  co_return locked;
}

Op<bool> OpenStates::lock_each_again(Open& open, bool reclaim) {
  const File& file = files_.at(open.file);
  for (Lock& lock : open.locks) {
    lock.has_stateid = false;
    for (size_t i = 0; i < lock.ranges.all().size(); ++i) {
      LockCall call(client_);
      call.recovers = true;
      call.who = open.who;
      call.open = &open;
      call.node = open.handle;
      call.lock = &lock;
      call.range = lock.ranges.all()[i];
      call.reclaim = reclaim;
      const Result<Unit> done = co_await client_.perform(call);
      if (!done && done.error() == Errno::canceled) co_return Errno::canceled;
      if (!done) {
        lose(open, "lock", call.status());
        co_return false;
      }
      lock.stateid = call.stateid;
      lock.has_stateid = true;
      if (!reclaim && file.locked_change != 0 && call.change != file.locked_change) {
        lose(open, "lock, for the file has been changed meanwhile", Status::expired);
        co_return false;
      }
    }
  }
  co_return true;
}

void OpenStates::lose(Open& open, const char* what, Status why) noexcept {
  open.lost = true;
  open.doubtful = false;
  log::error("{}: an open file of user {} has lost its {} ({}): EIO until it is closed",
             client_.server(), open.who.uid, what, describe_status(why));
}

}  // namespace dpfs::nfs
