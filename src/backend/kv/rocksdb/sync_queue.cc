// SPDX-License-Identifier: Apache-2.0
// One fdatasync of the log after the other, by a thread of the pool.
#include "backend/kv/rocksdb/sync_queue.h"

#include <utility>

#include "backend/kv/rocksdb/database.h"
#include "backend/kv/rocksdb/work_pool.h"

namespace dpfs::kv::rocks {

SyncQueue::SyncQueue(Database& database) noexcept : database_(database) {
  run = [](Completion& self) noexcept { static_cast<SyncQueue&>(self).sync_until_idle(); };
}

void SyncQueue::add(SyncWait& wait) noexcept {
  {
    const std::lock_guard lock(mutex_);
    waiting_.push(wait);
    if (std::exchange(running_, true)) return;
  }
  WorkPool::start(*this);
}

void SyncQueue::sync_until_idle() noexcept {
  bool idle = false;
  while (!idle) {
    CompletionQueue served;
    {
      // Those who come later may have committed after the call below has begun.
      const std::lock_guard lock(mutex_);
      while (Completion* wait = waiting_.pop()) served.push(*wait);
    }
    const uint64_t written = written_.load(std::memory_order_seq_cst);
    const Errno why = database_.sync();
    if (why == Errno::none) synced_.store(written, std::memory_order_seq_cst);
    {
      const std::lock_guard lock(mutex_);
      idle = waiting_.empty();
      if (idle) running_ = false;
    }
    // When the last has been told, all this may be closed.
    while (Completion* served_one = served.pop()) {
      auto& wait = static_cast<SyncWait&>(*served_one);
      wait.why = why;
      wait.mailbox.put(wait);
    }
  }
}

}  // namespace dpfs::kv::rocks
