// SPDX-License-Identifier: Apache-2.0
// LockTable: all advisory locks of one file system, of all its sessions, and those who wait for
// them.
#pragma once

#include <cstdint>

#include "backend/kv/held_locks.h"
#include "base/list.h"
#include "base/result.h"
#include "fuse/args.h"
#include "fuse/early_interrupts.h"
#include "io/reactor.h"

namespace dpfs::kv {

class LockSession;
class LockWait;

// Locks live in memory only: a file system has one daemon at a time, and locks end with sessions.
// Inode numbers are those of the file system, so that sessions see each other's locks. All methods
// are called on the file system's reactor, and none runs anybody else's code: who gets what he
// waited for goes on in a turn to come.
//
// fcntl(2), and open file descriptions' locks (F_OFD_SETLK): an owner is a session and the number
// that the tenant's kernel sends for a process's descriptor table, or for an open file. It does not
// say which of them it is. They exclude each other alike, as on Linux; where a difference would
// show, the owner is taken for a process:
//  - GETLK tells a process for it. (F_OFD_GETLK says -1 whatever is told, by the tenant's kernel.)
//  - Waits of open files that go round end with EDEADLK, too. Linux lets them wait; some thread
//  with
//    the same open file might unlock it.
//
// flock(2): the owner is the open file, by its handle. Changing between shared and exclusive is not
// atomic, as flock(2) warns: the old lock is given up first, and is lost when the new one cannot be
// had. These locks and those of fcntl(2) do not see each other.
//
// Who waits is served in the order of coming, as soon as nothing is in his way. Who comes before
// that and finds nothing in his way does not queue up, as on Linux: if he had to, owners who hold
// something would wait for those who wait for them.
class LockTable {
 public:
  explicit LockTable(Reactor& reactor) noexcept : reactor_(reactor) {}
  LockTable(const LockTable&) = delete;
  LockTable& operator=(const LockTable&) = delete;

  uint32_t locks() const noexcept { return held_.locks(); }
  uint32_t files() const noexcept { return held_.files(); }

 private:
  friend class LockSession;
  friend class LockWait;
  // Of a search for those who wait for each other: Linux's MAX_DEADLK_ITERATIONS.
  static constexpr uint32_t kDeadlockSteps = 10;

  Result<Unit> acquire(const LockClaim& claim) noexcept;
  Result<Unit> release(const LockClaim& claim) noexcept;
  // Serves who waits in that file for locks of that kind.
  void serve(uint64_t inode, bool flock) noexcept;
  void look_for_deadlock(LockWait& wait, const LockRow& in_its_way) noexcept;
  bool closes_a_cycle(const LockClaim& claim, const LockRow* in_the_way) noexcept;
  void end(LockWait& wait, Result<Unit> result) noexcept;

  Reactor& reactor_;
  HeldLocks held_;
  uint64_t sessions_ = 0;  // so far
};

// One session's locks: what GETLK, SETLK, FLUSH, RELEASE and INTERRUPT do. SETLKW is LockWait.
class LockSession : private LocksOfSession {
 public:
  // What waits holds a request of the transport, of which there are 256: so many at most.
  static constexpr uint32_t kWaitsMax = 128;

  explicit LockSession(LockTable& table) noexcept : table_(table) { number = ++table.sessions_; }
  ~LockSession() { clear(); }

  // The first lock in the way of what is asked for, or F_UNLCK. Of another session's lock no
  // process is told (0): its number would be one of another machine, and of no use but to a spy.
  // EINVAL: for flock(2) there is no such question.
  Result<fuse::LkOut> test(uint64_t inode, const LockArgs& args) noexcept;
  // Locks, or unlocks (F_UNLCK). EAGAIN: another lock is in the way. ENOLCK: see HeldLocks.
  Result<Unit> set(uint64_t inode, const LockArgs& args) noexcept;

  // FLUSH: somebody has closed a descriptor of the file; that ends all his locks of fcntl(2) there.
  void drop_owner(uint64_t inode, uint64_t owner) noexcept;
  // RELEASE: an open file is no more. Its own locks end, of which FUSE says nothing more; so do
  // waits through it (EBADF), which only a malicious tenant has.
  void drop_handle(uint64_t inode, Handle handle) noexcept;

  // The wait of the request with that number ends with EINTR: now, or as soon as it begins.
  void interrupt(uint64_t unique) noexcept;
  // All waits end with ENOLCK.
  void end_waits() noexcept;
  // The session is over, or begins anew: everything it holds is dropped.
  void clear() noexcept;

  uint32_t locks() const noexcept { return count; }
  uint32_t waits() const noexcept { return waiting_; }

 private:
  friend class LockTable;
  friend class LockWait;

  LockWait* wait_of(uint64_t owner) noexcept;

  LockTable& table_;
  List<LockWait, WaitsOfSession> waits_;
  uint32_t waiting_ = 0;
  EarlyInterrupts early_;
};

}  // namespace dpfs::kv
