// SPDX-License-Identifier: Apache-2.0
// Reads of single records.
#include "backend/kv/rocksdb/read_batch.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <array>

#include "backend/kv/rocksdb/database.h"
#include "backend/kv/rocksdb/record_key.h"
#include "backend/kv/rocksdb/status.h"
#include "base/assert.h"
#include "io/reactor.h"

namespace dpfs::kv::rocks {
namespace {

// What is kept to merge into, or to copy a memtable's value to.
constexpr size_t kScratchBytesMax = size_t{1} << 20;

void deliver_one(Get& get, const rocksdb::Slice& value) noexcept {
  get.found = true;
  const size_t offset = std::min<size_t>(get.offset, value.size());
  const size_t bytes = std::min<size_t>(get.bytes, value.size() - offset);
  get.reader->found({value.data() + offset, bytes});
}

}  // namespace

Result<bool> read_cached(Database& database, std::string_view partition, Get& get,
                         std::string& scratch) noexcept {
  get.found = false;
  if (!is_key(get.key)) return true;
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  const KeyText key = encode_key(partition, get.key);
  rocksdb::PinnableSlice value(&scratch);
  const rocksdb::Status status = database.db().Get(options, database.family_of(get.key.collection),
                                                   {key.view().data(), key.view().size()}, &value);
  if (status.ok()) {
    deliver_one(get, value);
    if (scratch.capacity() > kScratchBytesMax) std::string().swap(scratch);
    return true;
  }
  if (status.IsNotFound()) return true;
  if (status.IsIncomplete()) return false;
  return errno_of_request(status);
}

Result<Unit> read_here(Reactor& reactor, Database& database, std::string_view partition,
                       Get& get) noexcept {
  get.found = false;
  const KeyText key = encode_key(partition, get.key);
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = reactor.blocking([&] {
    return database.db().Get(rocksdb::ReadOptions(), database.family_of(get.key.collection),
                             {key.view().data(), key.view().size()}, &value);
  });
  if (status.ok()) deliver_one(get, value);
  if (!status.ok() && !status.IsNotFound()) return errno_of_request(status);
  return Unit{};
}

struct ReadBatch::Values {
  std::array<rocksdb::PinnableSlice, kGetsMax> values;
};

ReadBatch::ReadBatch(Database& database, std::string_view partition, std::span<Get> gets) noexcept
    : database_(database), partition_(partition), gets_(gets), values_(std::make_unique<Values>()) {
  DPFS_ASSERT(gets.size() <= kGetsMax);
}
ReadBatch::~ReadBatch() = default;

Errno ReadBatch::read() noexcept {
  std::array<KeyText, kGetsMax> texts;
  std::array<rocksdb::Slice, kGetsMax> keys;
  std::array<rocksdb::ColumnFamilyHandle*, kGetsMax> families;
  std::array<rocksdb::Status, kGetsMax> statuses;
  for (size_t i = 0; i < gets_.size(); ++i) {
    texts[i] = encode_key(partition_, gets_[i].key);
    keys[i] = {texts[i].view().data(), texts[i].view().size()};
    families[i] = database_.family_of(gets_[i].key.collection);
  }
  const rocksdb::ReadOptions options;
  if (gets_.size() == 1) {
    statuses[0] = database_.db().Get(options, families[0], keys[0], values_->values.data());
  } else {
    database_.db().MultiGet(options, gets_.size(), families.data(), keys.data(),
                            values_->values.data(), statuses.data());
  }
  for (size_t i = 0; i < gets_.size(); ++i) {
    gets_[i].found = statuses[i].ok();
    if (statuses[i].ok() || statuses[i].IsNotFound()) continue;
    return errno_of_request(statuses[i]);
  }
  return Errno::none;
}

void ReadBatch::deliver() noexcept {
  for (size_t i = 0; i < gets_.size(); ++i) {
    if (gets_[i].found) deliver_one(gets_[i], values_->values[i]);
  }
}

}  // namespace dpfs::kv::rocks
