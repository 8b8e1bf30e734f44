// SPDX-License-Identifier: Apache-2.0
// RocksDB's options. What is not said here is as RocksDB has it.
#include "backend/kv/rocksdb/settings.h"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include <string_view>

#include "backend/kv/rocksdb/merge_operator.h"

namespace dpfs::kv::rocks {
namespace {

// Partition and collection. Within them keys are often written in their order (inodes, cookies,
// chunks): a memtable remembers for each where the last one was put, and looks there first.
class CollectionPrefix final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "dpfs.collection"; }
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), std::string_view(key.data(), key.size()).find('\0') + 2};
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    const size_t end = std::string_view(key.data(), key.size()).find('\0');
    return end != std::string_view::npos && key.size() >= end + 2;
  }
};

struct Shared {
  explicit Shared(const RocksdbMemory& memory)
      : cache(rocksdb::NewLRUCache(memory.cache_bytes, -1, false, 0.5)),
        writes(std::make_shared<rocksdb::WriteBufferManager>(memory.writes_bytes)),
        filter(rocksdb::NewBloomFilterPolicy(10)) {}
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> writes;
  std::shared_ptr<const rocksdb::FilterPolicy> filter;
};

const Shared& shared(const RocksdbMemory& memory) {
  static const Shared kShared(memory);
  return kShared;
}

rocksdb::ColumnFamilyOptions family_settings(const RocksdbMemory& memory, size_t block_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.merge_operator = make_merge_operator();
  // A record that is changed again and again by operands becomes a value after so many: a read of
  // it merges few.
  options.max_successive_merges = 16;
  // A memtable takes its first block with its first record: an idle database has nearly nothing.
  options.arena_block_size = size_t{64} << 10;
  options.level_compaction_dynamic_level_bytes = true;
  options.compression = rocksdb::kLZ4Compression;
  static const auto kPrefix = std::make_shared<CollectionPrefix>();
  options.memtable_insert_with_hint_prefix_extractor = kPrefix;

  rocksdb::BlockBasedTableOptions table;
  table.block_cache = shared(memory).cache;
  table.filter_policy = shared(memory).filter;
  table.block_size = block_bytes;
  table.format_version = 5;
  // Indexes and filters are of the cache too, so that memory has one bound however much is stored.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace

rocksdb::DBOptions database_settings(const RocksdbMemory& memory) {
  rocksdb::DBOptions options;
  options.write_buffer_manager = shared(memory).writes;
  // Threads are the process's, whoever's work they do.
  options.max_background_jobs = 2;
  options.max_file_opening_threads = 1;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  // There is one writer at a time (CommitQueue).
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;
  // Who finishes reading deletes no files: that may be a reactor.
  options.avoid_unnecessary_blocking_io = true;
  options.max_open_files = 1024;
  options.table_cache_numshardbits = 2;
  options.max_total_wal_size = uint64_t{256} << 20;
  // Writes go to the disk little by little, so that those who sync wait for few.
  options.bytes_per_sync = uint64_t{1} << 20;
  options.wal_bytes_per_sync = uint64_t{1} << 20;
  options.compaction_readahead_size = size_t{1} << 20;
  options.info_log_level = rocksdb::WARN_LEVEL;
  options.max_log_file_size = size_t{1} << 20;
  options.keep_log_file_num = 2;
  options.max_manifest_file_size = uint64_t{16} << 20;
  return options;
}

rocksdb::ColumnFamilyOptions metadata_settings(const RocksdbMemory& memory) {
  rocksdb::ColumnFamilyOptions options = family_settings(memory, 4096);
  options.write_buffer_size = size_t{32} << 20;
  options.target_file_size_base = uint64_t{32} << 20;
  options.max_bytes_for_level_base = uint64_t{128} << 20;
  return options;
}

rocksdb::ColumnFamilyOptions contents_settings(const RocksdbMemory& memory) {
  // A small file is a record of 4 KiB, a chunk of a large one 64 KiB: most blocks hold one.
  rocksdb::ColumnFamilyOptions options = family_settings(memory, 4096);
  options.write_buffer_size = size_t{64} << 20;
  options.target_file_size_base = uint64_t{64} << 20;
  options.max_bytes_for_level_base = uint64_t{256} << 20;
  return options;
}

}  // namespace dpfs::kv::rocks
