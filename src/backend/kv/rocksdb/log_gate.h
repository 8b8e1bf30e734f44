// SPDX-License-Identifier: Apache-2.0
// LogGate: RocksDB's log is not synchronized once something of it could not be written.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "base/result.h"

namespace rocksdb {
class DB;
class Env;
class IOStatus;
}  // namespace rocksdb

namespace dpfs::kv::rocks {

// DB::SyncWAL() of a log with a failed write is a bug in RocksDB's eyes, and so is a write to a log
// whose synchronization has just failed: where it was built with its assertions, as Debian's is,
// the process ends. But who writes and who synchronizes are two threads. So a failed write comes
// through here before RocksDB hears of it, and waits for a synchronization that is under way; a
// failed synchronization is kept from RocksDB, which hears of it at its next write. From any
// thread.
class LogGate {
 public:
  LogGate();
  LogGate(const LogGate&) = delete;
  LogGate& operator=(const LogGate&) = delete;
  ~LogGate();

  // For DBOptions::env; lives as long as this.
  rocksdb::Env* env() const noexcept { return env_.get(); }

  // SyncWAL(), unless a log has failed.
  Errno sync(rocksdb::DB& db) noexcept;
  // RocksDB writes to a new log now.
  void reopen() noexcept { failed_.store(Errno::none); }

  // Of a log. What a write says returns what RocksDB is to be told of it.
  Errno failed() const noexcept { return failed_.load(); }
  rocksdb::IOStatus wrote(rocksdb::IOStatus status) noexcept;
  void synced(const rocksdb::IOStatus& status) noexcept;

 private:
  std::mutex mutex_;  // held while the log is synchronized
  std::atomic<Errno> failed_{Errno::none};
  std::unique_ptr<rocksdb::Env> env_;
};

}  // namespace dpfs::kv::rocks
