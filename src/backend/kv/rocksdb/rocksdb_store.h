// SPDX-License-Identifier: Apache-2.0
// The RocksDB engine: many partitions, of many reactors, in a database that a process opens once.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backend/kv/store.h"
#include "io/reactor.h"

namespace dpfs::kv {

// Of all databases of a process; those of the first one that is opened count.
struct RocksdbMemory {
  uint64_t cache_bytes = uint64_t{256} << 20;   // blocks of tables, uncompressed
  uint64_t writes_bytes = uint64_t{256} << 20;  // what is written and not yet in a table
};

struct RocksdbOptions {
  std::string path;  // of the database's folder
  std::string partition = "main";
  bool create = false;  // the database, where there is none; the folder above is there
  RocksdbMemory memory;
};

// 1 to 64 bytes, printable ASCII without spaces.
bool is_rocksdb_partition_name(std::string_view name) noexcept;

// Starts no thread and opens nothing; Store::open() does. What open() may say besides:
//   ENOENT     there is no database, and none is to be created
//   EBUSY      another process has the database, or this one the partition
//   EINVAL     what lies there is not a database of ours, or the partition's name is none
//   EPROTO     it is one of a newer version
// Each with a line in the log.
std::unique_ptr<Store> make_rocksdb_store(Reactor& reactor, const RocksdbOptions& options);

// What lies in a folder.
struct RocksdbFolder {
  enum class Kind : uint8_t {
    absent,      // nothing, or an empty folder: a database can be created there
    ours,        // a database of ours
    newer,       // a database of ours, of a version that this program does not know
    other,       // something else
    unreadable,  // see `problem`
  };
  Kind kind = Kind::absent;
  std::vector<std::string> partitions;  // those that have records, in order; where it is ours
  std::string problem;                  // for people; where it is neither absent nor ours
};

// For checks at the start and for tools: waits for the disk, and writes nothing. Works while the
// database is open, here or elsewhere; what was written lately may be missing then.
RocksdbFolder inspect_rocksdb(const std::string& path);

}  // namespace dpfs::kv
