// SPDX-License-Identifier: Apache-2.0
// Database: a RocksDB database that this process has open, for all who use it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "backend/kv/rocksdb/commit_queue.h"
#include "backend/kv/rocksdb/log_gate.h"
#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/rocksdb/settings.h"
#include "backend/kv/rocksdb/sync_queue.h"
#include "base/fd.h"

namespace rocksdb {
class ColumnFamilyHandle;
class DB;
class WriteBatch;
}  // namespace rocksdb

namespace dpfs::kv::rocks {

// From any thread.
class Database {
 public:
  // Waits for the disk. Nothing, and `why`, where it cannot be had: rocksdb_store.h says which.
  static std::unique_ptr<Database> open(Fd folder, const RocksdbOptions& options,
                                        Errno& why) noexcept;
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database();

  rocksdb::DB& db() const noexcept { return *db_; }
  rocksdb::ColumnFamilyHandle* family_of(Collection collection) const noexcept {
    return is_contents(collection) ? contents_ : metadata_;
  }
  // Writes it, and says how that went. After an error RocksDB writes nothing any more until it is
  // told to go on: that is tried with later writes, now and then. One thread at a time.
  Errno write(rocksdb::WriteBatch& batch) noexcept;
  // fdatasync(2) of the log. One thread at a time.
  Errno sync() noexcept { return log_gate_.sync(*db_); }
  CommitQueue& commits() noexcept { return commits_; }
  SyncQueue& syncs() noexcept { return syncs_; }
  Result<Store::Space> space() const noexcept;

 private:
  explicit Database(Fd folder) noexcept;
  Errno open_files(const RocksdbOptions& options) noexcept;
  Errno check_format(const RocksdbOptions& options) noexcept;
  bool go_on() noexcept;

  Fd folder_;
  LogGate log_gate_;
  std::unique_ptr<rocksdb::DB> db_;
  rocksdb::ColumnFamilyHandle* metadata_ = nullptr;
  rocksdb::ColumnFamilyHandle* contents_ = nullptr;
  CommitQueue commits_{*this};
  SyncQueue syncs_{*this};
  // Of the thread that writes.
  Errno why_failed_ = Errno::none;
  uint64_t tried_ns_ = 0;  // when it last was told to go on
};

}  // namespace dpfs::kv::rocks
