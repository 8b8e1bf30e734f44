// SPDX-License-Identifier: Apache-2.0
// A file system for RocksDB that is the usual one, but for its logs' errors.
#include "backend/kv/rocksdb/log_gate.h"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <string>
#include <utility>

#include "backend/kv/rocksdb/status.h"

namespace dpfs::kv::rocks {
namespace {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class Log final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  Log(std::unique_ptr<FSWritableFile> file, LogGate& gate)
      : FSWritableFileOwnerWrapper(std::move(file)), gate_(gate) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    if (gate_.failed() != Errno::none) return refuse();
    return gate_.wrote(target()->Append(data, options, dbg));
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& info, IODebugContext* dbg) override {
    if (gate_.failed() != Errno::none) return refuse();
    return gate_.wrote(target()->Append(data, options, info, dbg));
  }
  IOStatus Flush(const IOOptions& options, IODebugContext* dbg) override {
    return gate_.wrote(target()->Flush(options, dbg));
  }
  IOStatus RangeSync(uint64_t offset, uint64_t bytes, const IOOptions& options,
                     IODebugContext* dbg) override {
    return gate_.wrote(target()->RangeSync(offset, bytes, options, dbg));
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    gate_.synced(target()->Sync(options, dbg));
    return IOStatus::OK();
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override {
    gate_.synced(target()->Fsync(options, dbg));
    return IOStatus::OK();
  }

 private:
  IOStatus refuse() {
    const char* const what = "the log could not be written";
    const bool full = gate_.failed() == Errno::nospc;
    return gate_.wrote(full ? IOStatus::NoSpace(what) : IOStatus::IOError(what));
  }

  LogGate& gate_;
};

class Files final : public rocksdb::FileSystemWrapper {
 public:
  explicit Files(LogGate& gate) : FileSystemWrapper(rocksdb::FileSystem::Default()), gate_(gate) {}

  const char* Name() const override { return "dpfs.log_gate"; }
  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* dbg) override {
    IOStatus status = target()->NewWritableFile(name, options, file, dbg);
    watch(name, status, *file);
    return status;
  }
  IOStatus ReuseWritableFile(const std::string& name, const std::string& old_name,
                             const FileOptions& options, std::unique_ptr<FSWritableFile>* file,
                             IODebugContext* dbg) override {
    IOStatus status = target()->ReuseWritableFile(name, old_name, options, file, dbg);
    watch(name, status, *file);
    return status;
  }

 private:
  void watch(const std::string& name, const IOStatus& status,
             std::unique_ptr<FSWritableFile>& file) {
    if (!status.ok() || !name.ends_with(".log")) return;
    file = std::make_unique<Log>(std::move(file), gate_);
  }

  LogGate& gate_;
};

}  // namespace

LogGate::LogGate() : env_(rocksdb::NewCompositeEnv(std::make_shared<Files>(*this))) {}
LogGate::~LogGate() = default;

IOStatus LogGate::wrote(IOStatus status) noexcept {
  if (status.ok()) return status;
  const std::lock_guard lock(mutex_);
  Errno none = Errno::none;
  failed_.compare_exchange_strong(none, errno_of(status));
  return status;
}

void LogGate::synced(const IOStatus& status) noexcept {
  if (!status.ok()) failed_.store(errno_of_request(status));
}

Errno LogGate::sync(rocksdb::DB& db) noexcept {
  const std::lock_guard lock(mutex_);
  if (const Errno failed = failed_.load(); failed != Errno::none) return failed;
  const rocksdb::Status status = db.SyncWAL();
  if (!status.ok()) failed_.store(errno_of_request(status));
  return failed_.load();
}

}  // namespace dpfs::kv::rocks
