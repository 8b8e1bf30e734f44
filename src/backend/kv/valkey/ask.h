// SPDX-License-Identifier: Apache-2.0
// Ask: one command and its reply, for what does not happen often.
#pragma once

#include <coroutine>
#include <string>

#include "backend/kv/valkey/link.h"
#include "base/monotonic.h"

namespace dpfs::kv::valkey {

// Lies in the frame that waits: send it, then co_await it. Not sent again when a connection breaks.
class Ask final : public Request, Completion {
 public:
  Ask(Reactor& reactor, std::string command, uint64_t limit_ns)
      : reactor_(reactor), text_(std::move(command)) {
    bytes = text_;
    deadline_ns = monotonic_ns() + limit_ns;
    run = [](Completion& self) noexcept { static_cast<Ask&>(self).resume(); };
  }
  Ask(const Ask&) = delete;
  Ask& operator=(const Ask&) = delete;

  void answered(const Reply& reply) noexcept override {
    reply_ = reply;
    done();
  }
  void failed(Errno why) noexcept override {
    error_ = why;
    done();
  }

  bool await_ready() const noexcept { return resumable_; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  // An answer has come, and is no error.
  bool await_resume() const noexcept { return good(); }

  bool good() const noexcept { return error_ == Errno::none && !reply_.is_error(); }
  Errno error() const noexcept { return error_; }
  const Reply& reply() const noexcept { return reply_; }

 private:
  void done() noexcept { reactor_.next_turn(*this); }
  void resume() noexcept {
    resumable_ = true;
    if (waiter_) waiter_.resume();
  }

  Reactor& reactor_;
  std::string text_;
  Reply reply_;
  Errno error_ = Errno::none;
  std::coroutine_handle<> waiter_;
  bool resumable_ = false;
};

}  // namespace dpfs::kv::valkey
