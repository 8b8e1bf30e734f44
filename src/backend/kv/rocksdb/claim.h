// SPDX-License-Identifier: Apache-2.0
// Claim: a partition of a database that is one store's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "backend/kv/rocksdb/database.h"

namespace dpfs::kv::rocks {

// The first claim of a database opens it, and the end of the last one closes it. From any thread.
class Claim {
 public:
  // Waits for the disk. Nothing, and `why`, where it cannot be had: rocksdb_store.h says which.
  static std::unique_ptr<Claim> take(const RocksdbOptions& options, Errno& why) noexcept;
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  // Waits for the disk where it is the last of its database.
  ~Claim();

  Database& database() const noexcept { return *database_; }
  std::string_view partition() const noexcept { return partition_; }

 private:
  struct Shared;
  Claim(std::shared_ptr<Shared> shared, Database& database, std::string partition) noexcept
      : shared_(std::move(shared)), database_(&database), partition_(std::move(partition)) {}

  // Of all claims of one database.
  std::shared_ptr<Shared> shared_;
  Database* database_;
  const std::string partition_;
};

}  // namespace dpfs::kv::rocks
