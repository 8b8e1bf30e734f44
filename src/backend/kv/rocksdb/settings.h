// SPDX-License-Identifier: Apache-2.0
// How we want RocksDB: everything that its options say.
#pragma once

#include "backend/kv/rocksdb/rocksdb_store.h"

namespace rocksdb {
struct ColumnFamilyOptions;
struct DBOptions;
}  // namespace rocksdb

namespace dpfs::kv::rocks {

// Two column families. Contents are many times as large as what is said about them: together they
// would be compacted together, and a flush of contents would push the metadata out of the memtable.
// They share the log, so a commit to both is one write, and atomic.
inline constexpr const char* kMetadataFamily = "default";
inline constexpr const char* kContentsFamily = "contents";

inline bool is_contents(Collection collection) noexcept {
  return collection == Collection::contents || collection == Collection::chunk;
}

// One block cache and one bound on memtables for the process: whoever needs them most has them, and
// a further database costs next to nothing. `memory` counts the first time.
rocksdb::DBOptions database_settings(const RocksdbMemory& memory);
rocksdb::ColumnFamilyOptions metadata_settings(const RocksdbMemory& memory);
rocksdb::ColumnFamilyOptions contents_settings(const RocksdbMemory& memory);

}  // namespace dpfs::kv::rocks
