// SPDX-License-Identifier: Apache-2.0
// Timers of one reactor: something is to happen in a while.
#pragma once

#include <coroutine>
#include <cstdint>

#include "base/fd.h"
#include "base/list.h"
#include "io/reactor.h"

namespace dpfs {

class Timer : public ListLink<> {
 public:
  Timer() = default;
  virtual ~Timer() = default;
  // On the reactor. It is no longer started then, and may start again.
  virtual void fired() noexcept = 0;

 private:
  friend class Timers;
  uint64_t at_ns_ = 0;
};

// For few timers, and coarse ones: what is looked at is a list in their order. Costs nothing while
// none is started. Of one reactor.
class Timers final : Watch {
 public:
  // Throws std::system_error.
  explicit Timers(Reactor& reactor);
  Timers(const Timers&) = delete;
  Timers& operator=(const Timers&) = delete;
  ~Timers();

  // Begins anew when it is started already.
  void start(Timer& timer, uint64_t delay_ns) noexcept;
  void stop(Timer& timer) noexcept;

 private:
  void ready() noexcept override;
  void arm() noexcept;

  Reactor& reactor_;
  Fd timer_;
  List<Timer> started_;  // the next to fire first
  uint64_t armed_ns_ = 0;
};

// co_await Sleep(timers, delay_ns)
class Sleep final : public Timer {
 public:
  Sleep(Timers& timers, uint64_t delay_ns) noexcept : timers_(timers), delay_ns_(delay_ns) {}
  Sleep(const Sleep&) = delete;
  Sleep& operator=(const Sleep&) = delete;
  void fired() noexcept override { waiter_.resume(); }

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept {
    waiter_ = waiter;
    timers_.start(*this, delay_ns_);
  }
  void await_resume() const noexcept {}
  // Ends it now.
  void wake() noexcept {
    if (!linked()) return;
    timers_.stop(*this);
    waiter_.resume();
  }

 private:
  Timers& timers_;
  uint64_t delay_ns_;
  std::coroutine_handle<> waiter_;
};

}  // namespace dpfs
