// SPDX-License-Identifier: Apache-2.0
// Keys to bytes and back.
#include "backend/kv/rocksdb/record_key.h"

#include <cstring>

#include "base/assert.h"

namespace dpfs::kv::rocks {
namespace {

std::optional<Collection> collection_of(char letter) noexcept {
  switch (letter) {
#define DPFS_KV_COLLECTION(name, shape, letter) \
  case letter:                                  \
    return Collection::name;
#include "backend/kv/collections.def"
    default:
      return std::nullopt;
  }
}

uint64_t load_be64(const char* bytes) noexcept {
  uint64_t number = 0;
  std::memcpy(&number, bytes, sizeof number);
  return __builtin_bswap64(number);
}

}  // namespace

KeyText& KeyText::text(std::string_view bytes) noexcept {
  if (bytes.size() > bytes_.size() - size_) {
    overflowed_ = true;
    return *this;
  }
  if (!bytes.empty()) std::memcpy(bytes_.data() + size_, bytes.data(), bytes.size());
  size_ += bytes.size();
  return *this;
}

KeyText& KeyText::be64(uint64_t number) noexcept {
  const uint64_t swapped = __builtin_bswap64(number);
  return text({reinterpret_cast<const char*>(&swapped), sizeof swapped});
}

KeyText& KeyText::behind() noexcept {
  while (size_ > 0 && bytes_[size_ - 1] == '\xff') --size_;
  DPFS_ASSERT(size_ > 0);
  ++bytes_[size_ - 1];
  return *this;
}

bool is_key(const Key& key) noexcept {
  return shape_of(key.collection) != Shape::named ||
         (!key.name.empty() && key.name.size() <= kNameBytesMax);
}

KeyText collection_prefix(std::string_view partition, Collection collection) noexcept {
  KeyText text;
  text.text(partition).byte('\0').byte(letter_of(collection));
  return text;
}

KeyText object_prefix(std::string_view partition, Collection collection, uint64_t object) noexcept {
  KeyText text = collection_prefix(partition, collection);
  text.be64(object);
  return text;
}

KeyText encode_key(std::string_view partition, const Key& key) noexcept {
  KeyText text = object_prefix(partition, key.collection, key.object);
  switch (shape_of(key.collection)) {
    case Shape::single:
      break;
    case Shape::named:
      text.text(key.name);
      break;
    case Shape::numbered:
    case Shape::spread:
      text.be64(key.number);
      break;
  }
  return text;
}

std::optional<DecodedKey> decode_key(std::string_view bytes) noexcept {
  const size_t partition_bytes = bytes.find('\0');
  if (partition_bytes == std::string_view::npos || partition_bytes == 0 ||
      partition_bytes > kPartitionBytesMax) {
    return std::nullopt;
  }
  const std::string_view partition = bytes.substr(0, partition_bytes);
  std::string_view rest = bytes.substr(partition_bytes + 1);
  if (rest.size() < 1 + sizeof(uint64_t)) return std::nullopt;
  const std::optional<Collection> collection = collection_of(rest[0]);
  if (!collection) return std::nullopt;
  Key key{.collection = *collection, .object = load_be64(rest.data() + 1)};
  rest.remove_prefix(1 + sizeof(uint64_t));
  switch (shape_of(*collection)) {
    case Shape::single:
      if (!rest.empty()) return std::nullopt;
      break;
    case Shape::named:
      key.name = rest;
      if (!is_key(key)) return std::nullopt;
      break;
    case Shape::numbered:
    case Shape::spread:
      if (rest.size() != sizeof(uint64_t)) return std::nullopt;
      key.number = load_be64(rest.data());
      break;
  }
  return DecodedKey{partition, key};
}

}  // namespace dpfs::kv::rocks
