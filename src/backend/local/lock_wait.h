// SPDX-License-Identifier: Apache-2.0
// LockWait: waiting for a lock of the host, for as long as it takes or until it is called off.
#pragma once

#include <coroutine>
#include <cstdint>

#include "base/list.h"
#include "base/result.h"
#include "fuse/early_interrupts.h"
#include "io/interruptible_thread.h"
#include "io/reactor.h"

namespace dpfs::local {

// What to wait for: a range of a file by fcntl(2), F_OFD_SETLKW, or a whole file by flock(2).
struct LockCall {
  int fd;
  bool flock;
  uint32_t type;   // F_RDLCK or F_WRLCK
  uint64_t start;  // bytes; `end` is the last one
  uint64_t end;

  // EAGAIN: somebody else has it.
  Result<Unit> try_now() const noexcept;
  // EINTR: a signal came first.
  Result<Unit> wait() const noexcept;
};

class LockWait;

// The waits of one session. Each has a thread, since Linux has no other way to wait for a lock, and
// threads that wait here must not be those that others' slow calls need (io/relay.h).
class LockWaits {
 public:
  // What waits holds a request of the transport, of which there are 256: so many at most.
  static constexpr uint32_t kWaitsMax = 128;

  explicit LockWaits(Reactor& reactor) noexcept : reactor_(reactor) {}
  LockWaits(const LockWaits&) = delete;
  LockWaits& operator=(const LockWaits&) = delete;

  bool full() const noexcept { return count_ >= kWaitsMax; }
  // The request's wait ends with EINTR: now, or as soon as it begins.
  void interrupt(uint64_t unique) noexcept;
  // All waits end with ENOLCK.
  void end_all() noexcept;
  // A session is over; nothing waits.
  void start_over() noexcept { early_.clear(); }

 private:
  friend class LockWait;

  Reactor& reactor_;
  List<LockWait> waits_;
  uint32_t count_ = 0;
  EarlyInterrupts early_;
};

// co_await LockWait(waits, unique, call): lives in the awaiting frame, gives the result. The
// descriptor stays open meanwhile.
class LockWait : public ListLink<> {
 public:
  LockWait(LockWaits& waits, uint64_t unique, const LockCall& call) noexcept
      : waits_(waits), unique_(unique), call_(call) {}
  LockWait(const LockWait&) = delete;
  LockWait& operator=(const LockWait&) = delete;

  bool await_ready() noexcept;
  bool await_suspend(std::coroutine_handle<> waiter) noexcept;
  Result<Unit> await_resume() const noexcept { return result_; }

 private:
  friend class LockWaits;

  void run() noexcept;
  void call_off(Errno why) noexcept;
  void come_back() noexcept;

  LockWaits& waits_;
  const uint64_t unique_;
  const LockCall call_;
  std::coroutine_handle<> waiter_;
  InterruptibleThread thread_;
  Result<Unit> result_ = Errno::nolck;
  Errno why_ = Errno::intr;  // of being called off
};

}  // namespace dpfs::local
