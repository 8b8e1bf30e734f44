// SPDX-License-Identifier: Apache-2.0
// Reclaiming and opening again.
#include "backend/nfs/open_states.h"

#include "backend/nfs/status.h"
#include "base/log.h"

namespace dpfs::nfs {

Open* OpenStates::any_writer(uint32_t file) noexcept {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    if (open->file == file && !open->lost && (open->access & share::kWrite) != 0) return open;
  }
  return nullptr;
}

Op<Unit> OpenStates::reclaim() {
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    if (open->lost) continue;
    open->doubtful = true;
    Op<Unit> reclaiming = reclaim_one(*open);
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
  for (Open* open = opens_.front(); open != nullptr; open = opens_.after(*open)) {
    if (!open->doubtful || open->lost) continue;
    Op<Unit> reopening = reopen_one(*open);
    const Result<Unit> reopened = co_await reopening;
    if (!reopened) co_return reopened.error();
  }
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
