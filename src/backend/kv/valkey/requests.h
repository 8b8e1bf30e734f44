// SPDX-License-Identifier: Apache-2.0
// Requests about records, and waiting for some of them.
#pragma once

#include <coroutine>
#include <string>
#include <utility>

#include "backend/kv/store.h"
#include "backend/kv/valkey/cluster.h"

namespace dpfs::kv::valkey {

// Of an answer that says nothing of use.
inline Errno to_errno(const Reply& reply) noexcept {
  if (!reply.is_error()) return Errno::none;
  return trouble(reply) == Trouble::out_of_memory ? Errno::nospc : Errno::io;
}

// Counts requests; lies in the frame that waits for the last of them: add() all, then co_await it.
class Group final : Completion {
 public:
  explicit Group(Reactor& reactor) noexcept : reactor_(reactor) {
    run = [](Completion& self) noexcept { static_cast<Group&>(self).waiter_.resume(); };
  }
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  void add() noexcept { ++left_; }
  void done(Errno why) noexcept {
    if (why_ == Errno::none) why_ = why;
    if (--left_ == 0 && waiter_) reactor_.next_turn(*this);
  }

  bool await_ready() const noexcept { return left_ == 0; }
  void await_suspend(std::coroutine_handle<> waiter) noexcept { waiter_ = waiter; }
  // The first error.
  Errno await_resume() const noexcept { return why_; }

 private:
  Reactor& reactor_;
  std::coroutine_handle<> waiter_;
  size_t left_ = 0;
  Errno why_ = Errno::none;
};

// One command of a group; what is answered is kept.
class Question final : public Routed {
 public:
  Question(Cluster& cluster, Group& group, uint16_t its_slot, std::string command)
      : Routed(cluster), group_(group), text_(std::move(command)) {
    slot = its_slot;
    bytes = text_;
    deadline_ns = cluster.deadline_ns();
    group_.add();
  }
  void replied(const Reply& reply) noexcept override {
    reply_ = reply;
    group_.done(to_errno(reply));
  }
  void failed(Errno why) noexcept final { group_.done(why); }
  const Reply& reply() const noexcept { return reply_; }

 private:
  Group& group_;
  std::string text_;
  Reply reply_;
};

}  // namespace dpfs::kv::valkey
