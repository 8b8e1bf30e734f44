// SPDX-License-Identifier: Apache-2.0
// AsyncMutex: one coroutine at a time, the others wait in order. Of one reactor.
#pragma once

#include <coroutine>
#include <utility>

#include "base/assert.h"
#include "io/reactor.h"

namespace dpfs {

class AsyncMutex {
 public:
  AsyncMutex() = default;
  AsyncMutex(const AsyncMutex&) = delete;
  AsyncMutex& operator=(const AsyncMutex&) = delete;
  ~AsyncMutex() { DPFS_ASSERT(!locked_); }

  // False: somebody has it.
  bool try_lock() noexcept { return !std::exchange(locked_, true); }
  // co_await mutex.lock(), and unlock() afterwards.
  auto lock() noexcept {
    struct Lock : Completion {
      AsyncMutex& mutex;
      std::coroutine_handle<> waiter;
      explicit Lock(AsyncMutex& of) noexcept : mutex(of) {
        run = [](Completion& self) noexcept { static_cast<Lock&>(self).waiter.resume(); };
      }
      bool await_ready() const noexcept { return mutex.try_lock(); }
      void await_suspend(std::coroutine_handle<> handle) noexcept {
        waiter = handle;
        mutex.waiting_.push(*this);
      }
      void await_resume() const noexcept {}
    };
    return Lock(*this);
  }
  // The next in line goes on in a turn to come.
  void unlock(Reactor& reactor) noexcept {
    if (Completion* next = waiting_.pop()) {
      reactor.next_turn(*next);
    } else {
      locked_ = false;
    }
  }

 private:
  CompletionQueue waiting_;
  bool locked_ = false;
};

}  // namespace dpfs
