// SPDX-License-Identifier: Apache-2.0
// WorkPool: a few threads of the process for calls that certainly wait for a disk.
#pragma once

#include <coroutine>

#include "backend/kv/rocksdb/mailbox.h"
#include "io/completion.h"

namespace dpfs::kv::rocks {

// Threads are made when there is work, at most as many as a disk has good use for, and end when
// there has been none for a while. Where a reactor's own blocking() may wait as long as two ticks
// before somebody goes on, this costs two thread switches, and does many calls at the same time.
class WorkPool {
 public:
  // Runs it by some thread.
  static void start(Completion& work) noexcept;
};

// co_await OnPool(mailbox, call): `call` by a thread of the pool; it touches nothing that is the
// reactor's. Gives what it returns, which is an Errno.
template <class F>
class OnPool : public Completion {
 public:
  OnPool(Mailbox& mailbox, F& call) noexcept : mailbox_(mailbox), call_(call) {
    run = [](Completion& self) noexcept { static_cast<OnPool&>(self).make_call(); };
  }
  OnPool(const OnPool&) = delete;
  OnPool& operator=(const OnPool&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    WorkPool::start(*this);
  }
  Errno await_resume() const noexcept { return why_; }

 private:
  void make_call() noexcept {
    why_ = call_();
    run = [](Completion& self) noexcept { static_cast<OnPool&>(self).waiter_.resume(); };
    mailbox_.put(*this);
  }

  Mailbox& mailbox_;
  F& call_;
  std::coroutine_handle<> waiter_;
  Errno why_ = Errno::none;
};

}  // namespace dpfs::kv::rocks
