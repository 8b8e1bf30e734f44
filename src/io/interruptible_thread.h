// SPDX-License-Identifier: Apache-2.0
// InterruptibleThread: a thread that waits in system calls, and can be told to stop doing so.
#pragma once

#include <atomic>
#include <ctime>
#include <functional>
#include <thread>

namespace dpfs {

// After interrupt(), system calls of the thread that wait end with EINTR, for as long as it runs.
//
// A signal does that. One that comes just before the thread is in its system call would be lost, so
// a timer sends it every millisecond until the thread is joined.
class InterruptibleThread {
 public:
  InterruptibleThread() = default;
  InterruptibleThread(const InterruptibleThread&) = delete;
  InterruptibleThread& operator=(const InterruptibleThread&) = delete;
  ~InterruptibleThread();

  // Once. Throws std::system_error where there is no thread to be had.
  void start(std::function<void()> body);
  // From any thread, but one at a time.
  void interrupt() noexcept;
  // For the thread itself, before each call that waits and when one ended with EINTR.
  bool interrupted() const noexcept { return interrupted_.load(std::memory_order_seq_cst); }
  void join() noexcept;

 private:
  std::thread thread_;
  std::atomic<int> id_{0};  // once it runs
  std::atomic<bool> interrupted_{false};
  bool has_timer_ = false;
  timer_t timer_{};
};

}  // namespace dpfs
