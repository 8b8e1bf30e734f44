// SPDX-License-Identifier: Apache-2.0
// Blocks and records of an exported file system.
#include "backend/kv/stream/stream.h"

#include <array>
#include <optional>

#include "backend/kv/codec.h"
#include "backend/kv/keyed_hash.h"

namespace dpfs::kv {
namespace {

constexpr std::string_view kMagic = "DPFS-KVX";
constexpr size_t kRecordHeaderBytes = 1 + 8 + 8 + 1 + 4;

uint64_t checksum_of(const StreamHeader& header) noexcept {
  KeyedHash hash({0, 0});
  return hash.number(uint64_t{header.version} << 32 | header.format).bytes(kMagic);
}

uint64_t checksum_of(const BlockHeader& header, std::string_view payload) noexcept {
  KeyedHash hash({0, 0});
  return hash.number(header.number)
      .number(uint64_t{header.bytes} << 32 | header.records)
      .bytes(payload);
}

std::optional<Collection> collection_of(char letter) noexcept {
  switch (letter) {
#define DPFS_KV_COLLECTION(name, shape, its_letter) \
  case its_letter:                                  \
    return Collection::name;
#include "backend/kv/collections.def"
    default:
      return std::nullopt;
  }
}

void append_block(std::string& out, uint64_t number, uint32_t records, std::string_view payload) {
  BlockHeader header{
      .number = number, .bytes = static_cast<uint32_t>(payload.size()), .records = records};
  header.checksum = checksum_of(header, payload);
  std::array<char, kBlockHeaderBytes> room;
  RecordWriter writer(room);
  writer.put(header.number);
  writer.put(header.bytes);
  writer.put(header.records);
  writer.put(header.checksum);
  out.assign(writer.view()).append(payload);
}

}  // namespace

std::string_view encode(const StreamHeader& header, std::span<char, kStreamHeaderBytes> room) {
  RecordWriter writer(room);
  writer.put_bytes(kMagic);
  writer.put(header.version);
  writer.put(header.format);
  writer.put(checksum_of(header));
  return writer.view();
}

bool decode(std::string_view bytes, StreamHeader& header) {
  RecordReader reader(bytes);
  if (reader.take_bytes(kMagic.size()) != kMagic) return false;
  header.version = reader.take<uint32_t>();
  header.format = reader.take<uint32_t>();
  const auto checksum = reader.take<uint64_t>();
  return reader.ends_well() && checksum == checksum_of(header);
}

bool decode(std::string_view bytes, BlockHeader& header) {
  RecordReader reader(bytes);
  header.number = reader.take<uint64_t>();
  header.bytes = reader.take<uint32_t>();
  header.records = reader.take<uint32_t>();
  header.checksum = reader.take<uint64_t>();
  return reader.ends_well() && header.bytes <= kBlockBytesMax;
}

bool is_whole(const BlockHeader& header, std::string_view payload) {
  return payload.size() == header.bytes && checksum_of(header, payload) == header.checksum;
}

bool BlockWriter::add(const Key& key, std::string_view value) {
  if (value.size() > kRecordValueMax) return false;
  const bool is_named = shape_of(key.collection) == Shape::named;
  const std::string_view name = is_named ? key.name : std::string_view();
  std::array<char, kRecordHeaderBytes> room;
  RecordWriter writer(room);
  writer.put(letter_of(key.collection));
  writer.put(key.object);
  writer.put(key.number);
  writer.put(static_cast<uint8_t>(name.size()));
  writer.put(static_cast<uint32_t>(value.size()));
  payload_.append(writer.view()).append(name).append(value);
  ++records_;
  return true;
}

std::string_view BlockWriter::finish() {
  append_block(block_, ++number_, records_, payload_);
  total_ += records_;
  records_ = 0;
  payload_.clear();
  return block_;
}

std::string_view BlockWriter::end() {
  std::array<char, 8> room;
  RecordWriter writer(room);
  writer.put(total_);
  append_block(block_, ++number_, 0, writer.view());
  return block_;
}

bool BlockReader::next(Key& key, std::string_view& value) noexcept {
  if (rest_.empty() || broken_) return false;
  broken_ = true;
  RecordReader reader(rest_);
  const std::optional<Collection> collection = collection_of(reader.take<char>());
  key.object = reader.take<uint64_t>();
  key.number = reader.take<uint64_t>();
  const auto name_bytes = reader.take<uint8_t>();
  const auto value_bytes = reader.take<uint32_t>();
  if (!collection || value_bytes > kRecordValueMax || rest_.size() < kRecordHeaderBytes) {
    return false;
  }
  key.collection = *collection;
  const bool is_named = shape_of(key.collection) == Shape::named;
  if (is_named == (name_bytes == 0)) return false;
  rest_.remove_prefix(kRecordHeaderBytes);
  if (rest_.size() < size_t{name_bytes} + value_bytes) return false;
  key.name = rest_.substr(0, name_bytes);
  value = rest_.substr(name_bytes, value_bytes);
  rest_.remove_prefix(size_t{name_bytes} + value_bytes);
  broken_ = false;
  return true;
}

bool decode_total(std::string_view payload, uint64_t& total) {
  RecordReader reader(payload);
  total = reader.take<uint64_t>();
  return reader.ends_well();
}

}  // namespace dpfs::kv
