// SPDX-License-Identifier: Apache-2.0
// The stream of `dpfs kv export`: a file system's records, whatever engine they were in.
//
//   header   "DPFS-KVX", version (4 bytes), format of the records (4), checksum (8)
//   blocks   number (8), bytes of the payload (4), records in it (4), checksum (8), payload
//   record   collection's letter (1), object (8), number (8), bytes of the name (1), bytes of the
//            value (4), name, value
//
// Integers are big-endian. Blocks are numbered from 1. The last one has no records: its payload is
// the number of all records (8). A checksum is SipHash-1-3 with a key of zeros of what comes before
// it, as little-endian numbers of 8 bytes: version << 32 | format, then the magic; or a block's
// number, bytes << 32 | records, then the payload. The records are those of
// backend/kv/collections.def but the session, in any order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs::kv {

inline constexpr uint32_t kStreamVersion = 1;
inline constexpr size_t kStreamHeaderBytes = 8 + 4 + 4 + 8;
inline constexpr size_t kBlockHeaderBytes = 8 + 4 + 4 + 8;
inline constexpr uint32_t kRecordValueMax = 2 << 20;
// A block is closed when it has so much; one record may go beyond.
inline constexpr uint32_t kBlockBytes = 1 << 20;
inline constexpr uint32_t kBlockBytesMax = kBlockBytes + kRecordValueMax + 512;

struct StreamHeader {
  uint32_t version = kStreamVersion;
  uint32_t format = 0;
};
std::string_view encode(const StreamHeader& header, std::span<char, kStreamHeaderBytes> room);
bool decode(std::string_view bytes, StreamHeader& header);

struct BlockHeader {
  uint64_t number = 0;
  uint32_t bytes = 0;
  uint32_t records = 0;
  uint64_t checksum = 0;
};
// Of more than kBlockBytesMax it is none.
bool decode(std::string_view bytes, BlockHeader& header);
bool is_whole(const BlockHeader& header, std::string_view payload);

// Puts blocks together.
class BlockWriter {
 public:
  // False: the value is larger than any that a file system has.
  bool add(const Key& key, std::string_view value);
  bool is_full() const noexcept { return payload_.size() >= kBlockBytes; }
  uint32_t records() const noexcept { return records_; }
  uint64_t total() const noexcept { return total_; }
  // The block, until the next call; the next one is begun.
  std::string_view finish();
  // The last block.
  std::string_view end();

 private:
  std::string payload_;
  std::string block_;
  uint32_t records_ = 0;
  uint64_t number_ = 0;
  uint64_t total_ = 0;
};

// Takes a whole block apart. It may be anybody's.
class BlockReader {
 public:
  explicit BlockReader(std::string_view payload) noexcept : rest_(payload) {}
  // False: there is no more, or the rest is no record: then is_broken().
  bool next(Key& key, std::string_view& value) noexcept;
  bool is_broken() const noexcept { return broken_; }

 private:
  std::string_view rest_;
  bool broken_ = false;
};
// Of the last block.
bool decode_total(std::string_view payload, uint64_t& total);

}  // namespace dpfs::kv
