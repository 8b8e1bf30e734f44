// SPDX-License-Identifier: Apache-2.0
// One timerfd, armed for the timer that fires first.
#include "io/timer.h"

#include <sys/timerfd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/monotonic.h"

namespace dpfs {

Timers::Timers(Reactor& reactor)
    : reactor_(reactor), timer_(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!timer_) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  if (const Result<Unit> watched = reactor_.watch(timer_.get(), *this); !watched) {
    throw std::system_error(static_cast<int>(watched.error()), std::generic_category(),
                            "epoll_ctl");
  }
}

Timers::~Timers() {
  reactor_.unwatch(timer_.get(), *this);
  while (Timer* timer = started_.front()) timer->unlink();
}

void Timers::start(Timer& timer, uint64_t delay_ns) noexcept {
  if (timer.linked()) timer.unlink();
  timer.at_ns_ = monotonic_ns() + delay_ns;
  Timer* behind = started_.front();
  while (behind != nullptr && behind->at_ns_ <= timer.at_ns_) behind = started_.after(*behind);
  if (behind == nullptr) {
    started_.push_back(timer);
  } else {
    started_.insert_before(timer, *behind);
  }
  arm();
}

void Timers::stop(Timer& timer) noexcept {
  if (timer.linked()) timer.unlink();
}

// A timer that was stopped may leave the descriptor armed: it wakes the reactor once in vain.
void Timers::arm() noexcept {
  const Timer* first = started_.front();
  if (first == nullptr || (armed_ns_ != 0 && armed_ns_ <= first->at_ns_)) return;
  armed_ns_ = first->at_ns_;
  const itimerspec at{.it_interval = {},
                      .it_value = {.tv_sec = static_cast<time_t>(armed_ns_ / 1'000'000'000),
                                   .tv_nsec = static_cast<long>(armed_ns_ % 1'000'000'000)}};
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

void Timers::ready() noexcept {
  uint64_t expirations;
  [[maybe_unused]] const ssize_t bytes = read(timer_.get(), &expirations, sizeof expirations);
  armed_ns_ = 0;
  const uint64_t now_ns = monotonic_ns();
  // One that is started by another that fires does not fire in the same turn.
  while (Timer* timer = started_.front()) {
    if (timer->at_ns_ > now_ns) break;
    timer->unlink();
    timer->fired();
  }
  arm();
}

}  // namespace dpfs
