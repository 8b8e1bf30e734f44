// SPDX-License-Identifier: Apache-2.0
// Signal: a coroutine waits until something has happened, or for so long at most.
#pragma once

#include <coroutine>
#include <cstdint>
#include <utility>

#include "io/timer.h"

namespace dpfs {

// For one coroutine at a time. Raised while nobody waits, it ends the next wait at once. The
// coroutine goes on in a turn to come, never inside of raise().
class Signal final : Timer, Completion {
 public:
  static constexpr uint64_t kForEver = UINT64_MAX;

  Signal(Reactor& reactor, Timers& timers) noexcept : reactor_(reactor), timers_(timers) {
    run = [](Completion& self) noexcept { static_cast<Signal&>(self).go_on(); };
  }
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;
  ~Signal() override { timers_.stop(*this); }

  void raise() noexcept {
    if (std::exchange(raised_, true) || !waiter_) return;
    timers_.stop(*this);
    reactor_.next_turn(*this);
  }

  // co_await signal.wait(ns)
  auto wait(uint64_t at_most_ns) noexcept {
    struct Wait {
      Signal& signal;
      uint64_t at_most_ns;
      bool await_ready() const noexcept { return std::exchange(signal.raised_, false); }
      void await_suspend(std::coroutine_handle<> waiter) const noexcept {
        signal.waiter_ = waiter;
        if (at_most_ns != kForEver) signal.timers_.start(signal, at_most_ns);
      }
      void await_resume() const noexcept {}
    };
    return Wait{*this, at_most_ns};
  }

 private:
  void fired() noexcept override { go_on(); }
  void go_on() noexcept {
    raised_ = false;
    std::exchange(waiter_, nullptr).resume();
  }

  Reactor& reactor_;
  Timers& timers_;
  std::coroutine_handle<> waiter_;
  bool raised_ = false;
};

}  // namespace dpfs
