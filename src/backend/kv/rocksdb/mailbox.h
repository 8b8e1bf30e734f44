// SPDX-License-Identifier: Apache-2.0
// Mailbox: what other threads have finished for a reactor.
#pragma once

#include <mutex>

#include "base/fd.h"
#include "io/completion.h"
#include "io/reactor.h"

namespace dpfs::kv::rocks {

// Of one reactor; put() is for any thread.
class Mailbox final : Watch {
 public:
  explicit Mailbox(Reactor& reactor) noexcept : reactor_(reactor) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // On the reactor. Nothing is on its way to it when it is closed.
  Result<Unit> open() noexcept;
  void close() noexcept;

  // The completion runs on a turn to come. It may be gone by the time that this returns, and so may
  // the mailbox, if nothing else keeps it.
  void put(Completion& completion) noexcept;
  // On the reactor: what has come runs on the next turn.
  void empty() noexcept;

 private:
  void ready() noexcept override;

  Reactor& reactor_;
  Fd event_;
  std::mutex mutex_;  // of what follows
  CompletionQueue come_;
};

}  // namespace dpfs::kv::rocks
