// SPDX-License-Identifier: Apache-2.0
// SyncQueue: who waits until what was committed is safe; many share one fdatasync.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

#include "backend/kv/rocksdb/mailbox.h"
#include "io/completion.h"

namespace dpfs::kv::rocks {

class Database;

struct SyncWait : Completion {
  explicit SyncWait(Mailbox& of) noexcept : mailbox(of) {}
  Mailbox& mailbox;
  Errno why = Errno::none;  // out
};

// From any thread. Is itself the pool's work, while somebody waits.
class SyncQueue : Completion {
 public:
  explicit SyncQueue(Database& database) noexcept;
  SyncQueue(const SyncQueue&) = delete;
  SyncQueue& operator=(const SyncQueue&) = delete;

  // Something has been written, and nobody has been told yet.
  void wrote() noexcept { written_.fetch_add(1, std::memory_order_seq_cst); }
  // There is nothing that is not safe yet.
  bool is_clean() const noexcept {
    return synced_.load(std::memory_order_seq_cst) == written_.load(std::memory_order_seq_cst);
  }
  // Its completion comes when all that was committed before is safe, or has failed to be.
  void add(SyncWait& wait) noexcept;

 private:
  void sync_until_idle() noexcept;

  Database& database_;
  std::atomic<uint64_t> written_{0};
  std::atomic<uint64_t> synced_{0};
  std::mutex mutex_;  // of what follows
  CompletionQueue waiting_;
  bool running_ = false;
};

}  // namespace dpfs::kv::rocks
