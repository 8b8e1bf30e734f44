// SPDX-License-Identifier: Apache-2.0
// LockWait: waiting for an advisory lock until it is granted or called off.
#pragma once

#include <coroutine>
#include <cstdint>

#include "backend/kv/lock_table.h"
#include "io/completion.h"

namespace dpfs::kv {

// SETLKW: LockWait wait(session, unique, inode, args), then `co_await wait`, which gives the
// result. It lies in the awaiting frame. Where the lock is free, it is ready at once.
//
// EINTR: INTERRUPT came, here or before. EDEADLK: the owner who is in the way waits for this one,
// by one step or a few (fcntl(2); also found later, when another owner comes into the way). ENOLCK:
// too many wait or hold locks, or waits are ended. EBADF: the open file was closed.
class LockWait : public ListLink<WaitsOfFile>, public ListLink<WaitsOfSession>, private Completion {
 public:
  LockWait(LockSession& session, uint64_t unique, uint64_t inode, const LockArgs& args) noexcept;

  bool await_ready() noexcept;
  void await_suspend(std::coroutine_handle<> waiter) noexcept;
  Result<Unit> await_resume() const noexcept { return result_; }

 private:
  friend class LockTable;
  friend class LockSession;

  LockSession& session_;
  const uint64_t unique_;
  const LockClaim claim_;
  // Who was found in the way last.
  uint64_t session_in_the_way_ = 0;
  uint64_t owner_in_the_way_ = 0;
  std::coroutine_handle<> waiter_;
  Result<Unit> result_ = Errno::nolck;
};

}  // namespace dpfs::kv
