// SPDX-License-Identifier: Apache-2.0
// What lies in a folder, without changing anything.
#include <fcntl.h>
#include <rocksdb/db.h>

#include <memory>
#include <vector>

#include "backend/kv/rocksdb/folder.h"
#include "backend/kv/rocksdb/record_key.h"
#include "backend/kv/rocksdb/rocksdb_store.h"
#include "backend/kv/rocksdb/settings.h"
#include "base/fd.h"

namespace dpfs::kv {
namespace {

using namespace rocks;
using Kind = RocksdbFolder::Kind;

class ReadOnly {
 public:
  rocksdb::Status open(const std::string& path) {
    rocksdb::DBOptions settings = database_settings({});
    settings.max_open_files = 64;
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    families.emplace_back(kMetadataFamily, metadata_settings({}));
    families.emplace_back(kContentsFamily, contents_settings({}));
    rocksdb::DB* db = nullptr;
    const rocksdb::Status status =
        rocksdb::DB::OpenForReadOnly(settings, path, families, &handles_, &db);
    db_.reset(db);
    return status;
  }
  ~ReadOnly() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) db_->DestroyColumnFamilyHandle(handle);
  }
  rocksdb::DB& operator*() const noexcept { return *db_; }

 private:
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

// Jumps from one to the next, however many records they have.
std::vector<std::string> partitions_in(rocksdb::DB& db) {
  std::vector<std::string> partitions;
  const std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(rocksdb::ReadOptions()));
  std::string next("\x01", 1);  // behind what is nobody's
  for (iterator->Seek(next); iterator->Valid(); iterator->Seek(next)) {
    const rocksdb::Slice key = iterator->key();
    const std::string partition(key.data(), std::string_view(key.data(), key.size()).find('\0'));
    if (is_rocksdb_partition_name(partition)) partitions.push_back(partition);
    next = partition + '\x01';
  }
  return partitions;
}

RocksdbFolder look_at_database(const std::string& path) {
  ReadOnly database;
  rocksdb::Status status = database.open(path);
  if (status.IsInvalidArgument()) return {Kind::other, {}, "a database of another program"};
  if (!status.ok()) return {Kind::unreadable, {}, status.ToString()};
  std::string format;
  status = (*database).Get(rocksdb::ReadOptions(),
                           rocksdb::Slice(kFormatKey.data(), kFormatKey.size()), &format);
  if (!status.ok() && !status.IsNotFound()) return {Kind::unreadable, {}, status.ToString()};
  switch (judge_format(format)) {
    case FormatIs::known:
      return {Kind::ours, partitions_in(*database), ""};
    case FormatIs::newer:
      return {Kind::newer, {}, "a database of a newer version: '" + format + "'"};
    case FormatIs::foreign:
      break;
  }
  // One whose creation was not completed is as good as none.
  if ((*database).GetLatestSequenceNumber() == 0) return {Kind::absent, {}, ""};
  return {Kind::other, {}, "a database of another program"};
}

}  // namespace

RocksdbFolder inspect_rocksdb(const std::string& path) {
  const Fd folder(openat(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) {
    const Errno why = last_errno();
    if (why == Errno::noent) return {Kind::absent, {}, ""};
    return {Kind::unreadable, {}, describe(why)};
  }
  const FolderLook look = look_into_folder(folder.get());
  if (look.is_foreign) return {Kind::other, {}, "it has '" + look.foreign + "' in it"};
  if (!look.has_database) return {Kind::absent, {}, ""};
  return look_at_database(path);
}

}  // namespace dpfs::kv
