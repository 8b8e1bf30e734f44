// SPDX-License-Identifier: Apache-2.0
// CommitBatch: commits that are compared one by one and written together.
#pragma once

#include <bitset>
#include <memory>
#include <string>
#include <vector>

#include "backend/kv/rocksdb/commit_queue.h"
#include "backend/kv/rocksdb/record_key.h"

namespace dpfs::kv::rocks {

// Of one thread at a time. Keeps its memory from one group to the next.
class CommitBatch {
 public:
  explicit CommitBatch(Database& database);
  CommitBatch(const CommitBatch&) = delete;
  CommitBatch& operator=(const CommitBatch&) = delete;
  ~CommitBatch();

  void begin() noexcept;
  // False: it asks for what another one of the group writes, so it is for the next group. Else it
  // is one of the group, or its `why` says why it is left out.
  bool add(Commit& commit) noexcept;
  size_t bytes() const noexcept;
  // Tells those that are of the group in `why` what has become of them.
  void write() noexcept;

 private:
  struct Parts;

  bool asks_for_what_is_written(const Commit& commit) const noexcept;
  Errno check(const Commit& commit, const Compare& compare) noexcept;
  Errno append(const Commit& commit) noexcept;
  Errno append(std::string_view partition, const Write& write) noexcept;
  Errno append_cut(const Key& key, const KeyText& text, uint64_t bytes) noexcept;

  Database& database_;
  const std::unique_ptr<Parts> parts_;
  std::vector<Commit*> members_;
  // Which keys are written, by their hash. One that looks written and is not only ends the group.
  std::bitset<size_t{1} << 14> written_;
};

}  // namespace dpfs::kv::rocks
