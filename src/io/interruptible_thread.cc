// SPDX-License-Identifier: Apache-2.0
// A timer whose signal goes to one thread: timer_create(2), SIGEV_THREAD_ID.
#include "io/interruptible_thread.h"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "base/errno.h"
#include "base/log.h"

// The C library's name for it came late (glibc 2.41).
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace dpfs {
namespace {

constexpr long kSignalEveryNs = 1'000'000;

int wake_signal() noexcept { return SIGRTMIN + 1; }

// It only has to be caught: that is what ends a system call with EINTR.
void catch_wake_signal() noexcept {
  static const bool caught = [] {
    struct sigaction action{};
    action.sa_handler = [](int) {};
    return ::sigaction(wake_signal(), &action, nullptr) == 0;
  }();
  static_cast<void>(caught);
}

}  // namespace

InterruptibleThread::~InterruptibleThread() {
  if (thread_.joinable()) join();
}

void InterruptibleThread::start(std::function<void()> body) {
  catch_wake_signal();
  thread_ = std::thread([this, body = std::move(body)] {
    // Sequentially consistent with interrupt(): either it sees the thread, or the thread sees that
    // it is interrupted.
    id_.store(::gettid(), std::memory_order_seq_cst);
    body();
  });
}

void InterruptibleThread::interrupt() noexcept {
  interrupted_.store(true, std::memory_order_seq_cst);
  const int id = id_.load(std::memory_order_seq_cst);
  if (id == 0 || has_timer_) return;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = wake_signal();
  event.sigev_notify_thread_id = id;
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer_) != 0) {
    log::error("cannot make a timer ({}); a thread that waits may go on waiting",
               describe(last_errno()));
    ::tgkill(::getpid(), id, wake_signal());
    return;
  }
  has_timer_ = true;
  const itimerspec soon_and_often{.it_interval = {0, kSignalEveryNs}, .it_value = {0, 1}};
  ::timer_settime(timer_, 0, &soon_and_often, nullptr);
}

void InterruptibleThread::join() noexcept {
  thread_.join();
  if (has_timer_) ::timer_delete(timer_);
  has_timer_ = false;
}

}  // namespace dpfs
