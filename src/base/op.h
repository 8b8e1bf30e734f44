// SPDX-License-Identifier: Apache-2.0
// Op<T>: the result of an operation that is here already, or on its way in a coroutine.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <utility>

#include "base/frame_pool.h"
#include "base/result.h"

namespace dpfs {

// The one asynchronous type. An operation that can answer at once returns a value or an Errno and
// takes no frame; one that must wait is a coroutine that returns Op<T>, starts at once, and takes a
// pooled one. Whoever holds a waiting Op must await it or keep it until it is done: nothing cancels
// it from outside.
template <class T>
class [[nodiscard]] Op {
 public:
  struct promise_type {
    Result<T> value{Errno::io};
    std::coroutine_handle<> waiter;

    static void* operator new(size_t bytes) noexcept { return FramePool::take(bytes); }
    static void operator delete(void* frame, size_t bytes) noexcept {
      FramePool::give(frame, bytes);
    }
    static Op get_return_object_on_allocation_failure() noexcept { return Errno::nomem; }
    Op get_return_object() noexcept {
      return Op(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    auto final_suspend() noexcept {
      struct ResumeWaiter {
        bool await_ready() noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> self) noexcept {
          std::coroutine_handle<> awaiting = self.promise().waiter;
          return awaiting ? awaiting : std::coroutine_handle<>(std::noop_coroutine());
        }
        void await_resume() noexcept {}
      };
      return ResumeWaiter{};
    }
    void return_value(Result<T> result) noexcept { value = result; }
    void unhandled_exception() noexcept { std::abort(); }
  };

  Op(Result<T> here) noexcept : value_(here) {}
  Op(const T& here) noexcept : value_(here) {}
  Op(Errno why) noexcept : value_(why) {}
  Op(Op&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)), value_(other.value_) {}
  Op& operator=(Op&&) = delete;
  ~Op() { drop(); }

  bool ready() const noexcept { return !frame_ || frame_.done(); }
  // Only when ready.
  Result<T> take() const noexcept { return frame_ ? frame_.promise().value : value_; }
  // Only when ready: frees the frame and what it still holds now, not when this dies.
  void drop() noexcept {
    if (!frame_) return;
    DPFS_ASSERT(frame_.done());
    std::exchange(frame_, nullptr).destroy();
  }

  bool await_ready() const noexcept { return ready(); }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { frame_.promise().waiter = waiter; }
  Result<T> await_resume() const noexcept { return take(); }

 private:
  explicit Op(std::coroutine_handle<promise_type> frame) noexcept
      : frame_(frame), value_(Errno::io) {}

  std::coroutine_handle<promise_type> frame_;
  Result<T> value_;
};

// The root of something that waits: starts at once, frees itself at its end, nobody awaits it.
struct Detached {
  struct promise_type {
    static void* operator new(size_t bytes) noexcept { return FramePool::take(bytes); }
    static void operator delete(void* frame, size_t bytes) noexcept {
      FramePool::give(frame, bytes);
    }
    static Detached get_return_object_on_allocation_failure() noexcept { return {}; }
    Detached get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() noexcept { std::abort(); }
  };
};

}  // namespace dpfs
