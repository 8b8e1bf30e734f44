// SPDX-License-Identifier: Apache-2.0
// A thread for each wait, and the signal that ends it.
#include "backend/local/lock_wait.h"

#include <fcntl.h>
#include <sys/file.h>

#include <system_error>

#include "backend/local/system.h"

namespace dpfs::local {
namespace {

Result<Unit> set_range(const LockCall& call, int command) noexcept {
  struct flock lock{};
  lock.l_type = static_cast<short>(call.type);
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(call.start);
  // 0: to the end of the file, wherever it is.
  lock.l_len = call.end >= INT64_MAX ? 0 : static_cast<off_t>(call.end - call.start + 1);
  if (::fcntl(call.fd, command, &lock) == 0) return Unit{};
  const Errno why = last_errno();
  return why == Errno::acces ? Errno::again : why;  // fcntl(2): either may be said
}

Result<Unit> set_flock(const LockCall& call, int how) noexcept {
  int operation = LOCK_UN;
  if (call.type == F_RDLCK) operation = LOCK_SH;
  if (call.type == F_WRLCK) operation = LOCK_EX;
  if (::flock(call.fd, operation | how) == 0) return Unit{};
  return last_errno();
}

}  // namespace

Result<Unit> LockCall::try_now() const noexcept {
  while (true) {
    const Result<Unit> done = flock ? set_flock(*this, LOCK_NB) : set_range(*this, F_OFD_SETLK);
    if (done || done.error() != Errno::intr) return done;
  }
}

Result<Unit> LockCall::wait() const noexcept {
  return flock ? set_flock(*this, 0) : set_range(*this, F_OFD_SETLKW);
}

void LockWaits::interrupt(uint64_t unique) noexcept {
  for (LockWait* wait = waits_.front(); wait != nullptr; wait = waits_.after(*wait)) {
    if (wait->unique_ == unique) return wait->call_off(Errno::intr);
  }
  early_.remember(unique);
}

void LockWaits::end_all() noexcept {
  for (LockWait* wait = waits_.front(); wait != nullptr; wait = waits_.after(*wait)) {
    wait->call_off(Errno::nolck);
  }
}

bool LockWait::await_ready() noexcept {
  if (waits_.early_.take(unique_)) {
    result_ = Errno::intr;
    return true;
  }
  return waits_.full();
}

bool LockWait::await_suspend(std::coroutine_handle<> waiter) noexcept {
  waiter_ = waiter;
  try {
    thread_.start([this] { run(); });
  } catch (const std::system_error&) {
    return false;  // ENOLCK
  }
  waits_.waits_.push_back(*this);
  ++waits_.count_;
  return true;
}

// On the wait's own thread.
void LockWait::run() noexcept {
  result_ = Errno::intr;
  while (!result_ && result_.error() == Errno::intr && !thread_.interrupted()) {
    result_ = call_.wait();
  }
  waits_.reactor_.post([this] { come_back(); });
}

void LockWait::call_off(Errno why) noexcept {
  if (thread_.interrupted()) return;
  why_ = why;
  thread_.interrupt();
}

void LockWait::come_back() noexcept {
  thread_.join();
  unlink();
  --waits_.count_;
  if (!result_ && result_.error() == Errno::intr) result_ = why_;
  waiter_.resume();
}

}  // namespace dpfs::local
