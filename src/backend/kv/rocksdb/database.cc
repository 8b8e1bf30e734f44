// SPDX-License-Identifier: Apache-2.0
// Opening, closing, and knowing our own.
#include "backend/kv/rocksdb/database.h"

#include <rocksdb/db.h>
#include <sys/statvfs.h>

#include <vector>

#include "backend/kv/rocksdb/folder.h"
#include "backend/kv/rocksdb/status.h"
#include "base/log.h"
#include "base/monotonic.h"

namespace dpfs::kv::rocks {
namespace {

// How often a database that has failed to write is told to go on. That writes what its memtables
// have, as far as there is space.
constexpr uint64_t kTryEveryNs = 200'000'000;

}  // namespace

std::unique_ptr<Database> Database::open(Fd folder, const RocksdbOptions& options,
                                         Errno& why) noexcept {
  const FolderLook look = look_into_folder(folder.get());
  if (look.is_foreign) {
    log::error("{} is not a database's folder: it has '{}' in it", options.path, look.foreign);
    why = Errno::inval;
    return nullptr;
  }
  if (!look.has_database && !options.create) {
    log::error("there is no database in {}", options.path);
    why = Errno::noent;
    return nullptr;
  }
  std::unique_ptr<Database> database(new Database(std::move(folder)));
  why = database->open_files(options);
  if (why != Errno::none) return nullptr;
  return database;
}

Errno Database::open_files(const RocksdbOptions& options) noexcept {
  rocksdb::DBOptions settings = database_settings(options.memory);
  settings.env = log_gate_.env();
  settings.create_if_missing = options.create;
  settings.create_missing_column_families = options.create;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  families.emplace_back(kMetadataFamily, metadata_settings(options.memory));
  families.emplace_back(kContentsFamily, contents_settings(options.memory));
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(settings, options.path, families, &handles, &db);
  if (!status.ok()) {
    // InvalidArgument: other column families, or another merge operator.
    const Errno why = status.IsInvalidArgument() ? Errno::inval : errno_of(status);
    const char* const hint = why == Errno::busy ? " (another process has it open)" : "";
    log::error("cannot open the database {}{}: {}", options.path, hint, status.ToString());
    return why;
  }
  db_.reset(db);
  metadata_ = handles[0];
  contents_ = handles[1];
  return check_format(options);
}

Errno Database::check_format(const RocksdbOptions& options) noexcept {
  std::string format;
  rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), metadata_, kFormatKey, &format);
  // Nothing was ever written: it is new, or its creation was not completed.
  if (status.IsNotFound() && options.create && db_->GetLatestSequenceNumber() == 0) {
    rocksdb::WriteOptions safely;
    safely.sync = true;
    status = db_->Put(safely, metadata_, kFormatKey, kFormat);
    format = kFormat;
  }
  if (!status.ok() && !status.IsNotFound()) return errno_of_request(status);
  switch (judge_format(format)) {
    case FormatIs::known:
      return Errno::none;
    case FormatIs::newer:
      log::error("the database {} is of a newer version ('{}')", options.path, format);
      return Errno::proto;
    case FormatIs::foreign:
      break;
  }
  log::error("{} is a database of another program", options.path);
  return Errno::inval;
}

Database::Database(Fd folder) noexcept : folder_(std::move(folder)) {}

Database::~Database() {
  if (!db_) return;
  for (rocksdb::ColumnFamilyHandle* family : {metadata_, contents_}) {
    db_->DestroyColumnFamilyHandle(family);
  }
  const rocksdb::Status status = db_->Close();
  if (!status.ok()) log::warn("RocksDB: closing: {}", status.ToString());
}

Errno Database::write(rocksdb::WriteBatch& batch) noexcept {
  if (why_failed_ != Errno::none && !go_on()) return why_failed_;
  const rocksdb::Status status = db_->Write(rocksdb::WriteOptions(), &batch);
  why_failed_ = errno_of_request(status);
  return why_failed_;
}

// True where it writes again.
bool Database::go_on() noexcept {
  const uint64_t now_ns = monotonic_ns();
  if (now_ns - tried_ns_ < kTryEveryNs) return false;
  tried_ns_ = now_ns;
  const rocksdb::Status status = db_->Resume();
  // RocksDB is at it itself: after ENOSPC it looks every 5 s whether there is space again.
  if (status.IsBusy()) return false;
  why_failed_ = errno_of_request(status);
  if (!status.ok()) return false;
  log_gate_.reopen();
  log::info("RocksDB writes again");
  return true;
}

Result<Store::Space> Database::space() const noexcept {
  struct statvfs status{};
  if (fstatvfs(folder_.get(), &status) != 0) return last_errno();
  return Store::Space{.total_bytes = uint64_t{status.f_blocks} * status.f_frsize,
                      .free_bytes = uint64_t{status.f_bavail} * status.f_frsize};
}

}  // namespace dpfs::kv::rocks
