// SPDX-License-Identifier: Apache-2.0
// A queue, and an eventfd that tells of it.
#include "backend/kv/rocksdb/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

namespace dpfs::kv::rocks {

Result<Unit> Mailbox::open() noexcept {
  event_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_) return last_errno();
  return reactor_.watch(event_.get(), *this);
}

void Mailbox::close() noexcept {
  if (!event_) return;
  reactor_.unwatch(event_.get(), *this);
  event_.reset();
}

void Mailbox::put(Completion& completion) noexcept {
  // All of it under the lock: the completion may be what keeps the mailbox open.
  const std::lock_guard lock(mutex_);
  const bool first = come_.empty();
  come_.push(completion);
  if (!first) return;
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(event_.get(), &one, sizeof one);
}

void Mailbox::empty() noexcept {
  const std::lock_guard lock(mutex_);
  while (Completion* completion = come_.pop()) reactor_.next_turn(*completion);
}

void Mailbox::ready() noexcept {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t bytes = read(event_.get(), &count, sizeof count);
  empty();
}

}  // namespace dpfs::kv::rocks
