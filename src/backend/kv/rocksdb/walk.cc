// SPDX-License-Identifier: Apache-2.0
// RocksDB's iterators, for as long as one call.
#include "backend/kv/rocksdb/walk.h"

#include <rocksdb/db.h>

#include <memory>
#include <optional>

#include "backend/kv/rocksdb/database.h"
#include "backend/kv/rocksdb/record_key.h"
#include "backend/kv/rocksdb/status.h"
#include "base/log.h"

namespace dpfs::kv::rocks {
namespace {

// So much is read before it is given to the reader: it lies in memory twice.
constexpr size_t kAheadBytesMax = size_t{256} << 10;
constexpr size_t kAheadRecordsMax = 1024;
// Of what was erased and not yet compacted; more of it is not stepped over on a reactor.
constexpr uint64_t kSkippedMax = 1000;

std::string_view view(const rocksdb::Slice& slice) noexcept { return {slice.data(), slice.size()}; }

// Calls give(key, value) until that says false.
template <class F>
Result<WalkEnd> go(Database& database, Walk& walk, rocksdb::ReadOptions options,
                   uint32_t& records_max, F give) noexcept {
  const rocksdb::Slice end(walk.end);
  options.iterate_upper_bound = &end;
  options.background_purge_on_iterator_cleanup = true;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      database.db().NewIterator(options, database.family_of(walk.collection)));
  bool more = records_max > 0;
  for (iterator->Seek(walk.next); more && iterator->Valid(); iterator->Next()) {
    const std::string_view key = view(iterator->key());
    more = give(key, view(iterator->value())) && --records_max > 0;
    walk.next.assign(key).push_back('\0');
  }
  if (!more) return WalkEnd::enough;
  const rocksdb::Status status = iterator->status();
  if (status.IsIncomplete()) return WalkEnd::unknown;
  if (!status.ok()) return errno_of_request(status);
  return WalkEnd::over;
}

}  // namespace

Result<WalkEnd> walk_cached(Database& database, Walk& walk, uint32_t& records_max,
                            ScanReader& reader) noexcept {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  options.max_skippable_internal_keys = kSkippedMax;
  return go(database, walk, options, records_max,
            [&](std::string_view key, std::string_view value) {
              const std::optional<DecodedKey> decoded = decode_key(key);
              return !decoded || reader.found(decoded->key, value);
            });
}

Result<WalkEnd> read_ahead(Database& database, Walk& walk, uint32_t& records_max,
                           RecordBuffer& buffer) noexcept {
  return go(database, walk, rocksdb::ReadOptions(), records_max,
            [&](std::string_view key, std::string_view value) {
              buffer.add(key, value);
              return buffer.bytes() < kAheadBytesMax && buffer.records() < kAheadRecordsMax;
            });
}

}  // namespace dpfs::kv::rocks
