// SPDX-License-Identifier: Apache-2.0
// Locked: unlocks at the end of a scope.
#pragma once

#include <utility>

#include "io/async_mutex.h"

namespace dpfs::kv {

// co_await mutex.lock(); const Locked locked(mutex, reactor);
class Locked {
 public:
  Locked(AsyncMutex& mutex, Reactor& reactor) noexcept : mutex_(&mutex), reactor_(reactor) {}
  Locked(Locked&& other) noexcept
      : mutex_(std::exchange(other.mutex_, nullptr)), reactor_(other.reactor_) {}
  Locked& operator=(Locked&&) = delete;
  ~Locked() {
    if (mutex_ != nullptr) mutex_->unlock(reactor_);
  }

 private:
  AsyncMutex* mutex_;
  Reactor& reactor_;
};

}  // namespace dpfs::kv
