// SPDX-License-Identifier: Apache-2.0
// Comparing, and putting together what RocksDB writes.
#include "backend/kv/rocksdb/commit_batch.h"

#include <rocksdb/db.h>
#include <rocksdb/perf_level.h>
#include <rocksdb/write_batch.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <functional>

#include "backend/kv/rocksdb/database.h"
#include "backend/kv/rocksdb/operand.h"
#include "backend/kv/rocksdb/status.h"

namespace dpfs::kv::rocks {
namespace {

// What is kept from one group to the next. One megabyte is what the largest commits have.
constexpr size_t kKeptBytesMax = size_t{2} << 20;

rocksdb::Slice slice(std::string_view text) noexcept { return {text.data(), text.size()}; }

}  // namespace

struct CommitBatch::Parts {
  rocksdb::WriteBatch batch;
  std::string found;                  // what a comparison reads, where it is not pinned
  std::vector<rocksdb::Slice> value;  // the parts of one
  std::vector<iovec> payload;
};

CommitBatch::CommitBatch(Database& database)
    : database_(database), parts_(std::make_unique<Parts>()) {}
CommitBatch::~CommitBatch() = default;

void CommitBatch::begin() noexcept {
  // RocksDB's counters of this thread, which nobody looks at, take a tenth of an insertion's time.
  rocksdb::SetPerfLevel(rocksdb::PerfLevel::kDisable);
  if (parts_->batch.Data().capacity() > kKeptBytesMax) parts_->batch = rocksdb::WriteBatch();
  parts_->batch.Clear();
  members_.clear();
  written_.reset();
}

size_t CommitBatch::bytes() const noexcept { return parts_->batch.GetDataSize(); }

bool CommitBatch::add(Commit& commit) noexcept {
  if (!members_.empty() && asks_for_what_is_written(commit)) return false;
  for (const Compare& compare : commit.compares) {
    commit.why = check(commit, compare);
    if (commit.why != Errno::none) return true;
  }
  commit.why = append(commit);
  if (commit.why == Errno::none) members_.push_back(&commit);
  return true;
}

bool CommitBatch::asks_for_what_is_written(const Commit& commit) const noexcept {
  const auto is_written = [&](const Key& key) {
    const KeyText text = encode_key(commit.partition, key);
    return written_.test(std::hash<std::string_view>()(text.view()) % written_.size());
  };
  return std::ranges::any_of(commit.compares, is_written, &Compare::key) ||
         std::ranges::any_of(commit.writes, [&](const Write& write) {
           return write.kind == Write::Kind::cut && is_written(write.key);
         });
}

Errno CommitBatch::check(const Commit& commit, const Compare& compare) noexcept {
  const KeyText key = encode_key(commit.partition, compare.key);
  rocksdb::PinnableSlice value(&parts_->found);
  const rocksdb::Status status =
      database_.db().Get(rocksdb::ReadOptions(), database_.family_of(compare.key.collection),
                         slice(key.view()), &value);
  if (!status.ok() && !status.IsNotFound()) return errno_of_request(status);
  const bool holds = compare.present ? status.ok() && value.starts_with(slice(compare.prefix))
                                     : status.IsNotFound();
  return holds ? Errno::none : kCompareFailed;
}

Errno CommitBatch::append(const Commit& commit) noexcept {
  // Only a cut can fail, when what it cuts cannot be read.
  const bool may_fail = std::ranges::any_of(
      commit.writes, [](const Write& write) { return write.kind == Write::Kind::cut; });
  if (may_fail) parts_->batch.SetSavePoint();
  Errno why = Errno::none;
  for (const Write& write : commit.writes) {
    why = append(commit.partition, write);
    if (why != Errno::none) break;
  }
  if (may_fail) {
    const rocksdb::Status status =
        why == Errno::none ? parts_->batch.PopSavePoint() : parts_->batch.RollbackToSavePoint();
    DPFS_ASSERT(status.ok());
  }
  return why;
}

Errno CommitBatch::append(std::string_view partition, const Write& write) noexcept {
  const KeyText text = encode_key(partition, write.key);
  const rocksdb::Slice key = slice(text.view());
  rocksdb::ColumnFamilyHandle* const family = database_.family_of(write.key.collection);
  written_.set(std::hash<std::string_view>()(text.view()) % written_.size());

  // The payload is a tenant's and may change. Its bytes are copied once, from here into the batch.
  std::vector<rocksdb::Slice>& value = parts_->value;
  const auto gather = [&](std::string_view head) {
    value.clear();
    if (!head.empty()) value.push_back(slice(head));
    if (!write.value.empty()) value.push_back(slice(write.value));
    parts_->payload.resize(write.payload.parts());
    for (const iovec& part : write.payload.to_iovecs(parts_->payload)) {
      value.emplace_back(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    return rocksdb::SliceParts(value.data(), static_cast<int>(value.size()));
  };
  const rocksdb::SliceParts key_parts(&key, 1);

  rocksdb::Status status;
  switch (write.kind) {
    case Write::Kind::put:
      status = parts_->batch.Put(family, key_parts, gather({}));
      break;
    case Write::Kind::erase:
      status = parts_->batch.Delete(family, key);
      break;
    case Write::Kind::add: {
      const auto head =
          encode_operand_head(Operand::Kind::add, static_cast<uint64_t>(write.number));
      status = parts_->batch.Merge(family, key, {head.data(), head.size()});
      break;
    }
    case Write::Kind::patch: {
      if (write.value.empty() && write.payload.empty()) break;
      const auto head =
          encode_operand_head(Operand::Kind::patch, static_cast<uint64_t>(write.number));
      status = parts_->batch.Merge(family, key_parts, gather({head.data(), head.size()}));
      break;
    }
    case Write::Kind::cut:
      return append_cut(write.key, text, static_cast<uint64_t>(write.number));
  }
  DPFS_ASSERT(status.ok());  // a batch of RocksDB's ends at 4 GiB
  return Errno::none;
}

// Reads what is there: nobody else writes meanwhile, and nothing of this group is about it.
Errno CommitBatch::append_cut(const Key& key, const KeyText& text, uint64_t bytes) noexcept {
  rocksdb::ColumnFamilyHandle* const family = database_.family_of(key.collection);
  rocksdb::PinnableSlice value(&parts_->found);
  rocksdb::Status status =
      database_.db().Get(rocksdb::ReadOptions(), family, slice(text.view()), &value);
  if (status.IsNotFound()) return Errno::none;
  if (!status.ok()) return errno_of_request(status);
  if (value.size() <= bytes) return Errno::none;
  status = parts_->batch.Put(family, slice(text.view()), {value.data(), bytes});
  DPFS_ASSERT(status.ok());
  return Errno::none;
}

void CommitBatch::write() noexcept {
  if (parts_->batch.Count() == 0) return;
  const Errno why = database_.write(parts_->batch);
  database_.syncs().wrote();
  for (Commit* commit : members_) commit->why = why;
}

}  // namespace dpfs::kv::rocks
