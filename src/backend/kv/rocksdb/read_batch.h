// SPDX-License-Identifier: Apache-2.0
// Reads of records: from memory, here, or some at once by another thread.
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs {
class Reactor;
}

namespace dpfs::kv::rocks {

class Database;

// Reads what the block cache and the memtables have of `get`, and gives it to its reader. False: it
// is not known without asking the disk.
Result<bool> read_cached(Database& database, std::string_view partition, Get& get,
                         std::string& scratch) noexcept;

// Asks the disk, too, and waits for it: in Reactor::blocking(), so others may run meanwhile.
Result<Unit> read_here(Reactor& reactor, Database& database, std::string_view partition,
                       Get& get) noexcept;

// read() by any thread, and then deliver() on the reactor.
class ReadBatch {
 public:
  static constexpr size_t kGetsMax = 16;

  ReadBatch(Database& database, std::string_view partition, std::span<Get> gets) noexcept;
  ReadBatch(const ReadBatch&) = delete;
  ReadBatch& operator=(const ReadBatch&) = delete;
  ~ReadBatch();

  Errno read() noexcept;
  void deliver() noexcept;

 private:
  struct Values;

  Database& database_;
  const std::string_view partition_;
  const std::span<Get> gets_;
  std::unique_ptr<Values> values_;  // what a read of the disk costs makes this nothing
};

}  // namespace dpfs::kv::rocks
