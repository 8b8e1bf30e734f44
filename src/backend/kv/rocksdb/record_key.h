// SPDX-License-Identifier: Apache-2.0
// How a record's place is written as a key of RocksDB.
//
//   partition, NUL, collection's letter, object (8 bytes, big-endian),
//   then nothing, a number (8 bytes, big-endian), or a name, as the collection's shape says
//
// So records of one object lie together, in the order of their numbers or names, and a dump of a
// database can be read by people.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs::kv::rocks {

inline constexpr size_t kPartitionBytesMax = 64;

// Some key, or the beginning of some, on the stack.
class KeyText {
 public:
  std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  bool overflowed() const noexcept { return overflowed_; }

  KeyText& text(std::string_view bytes) noexcept;
  KeyText& byte(char c) noexcept { return text({&c, 1}); }
  KeyText& be64(uint64_t number) noexcept;
  // Makes it the first key behind all those that begin with it. It does not consist of 0xff alone.
  KeyText& behind() noexcept;

 private:
  static constexpr size_t kBytesMax = kPartitionBytesMax + 1 + 1 + 8 + kNameBytesMax;
  std::array<char, kBytesMax> bytes_;  // left as it is: 330 bytes are not cleared for each request
  size_t size_ = 0;
  bool overflowed_ = false;
};

bool is_key(const Key& key) noexcept;  // its name has a length that names have
KeyText encode_key(std::string_view partition, const Key& key) noexcept;
// What all keys of the collection begin with.
KeyText collection_prefix(std::string_view partition, Collection collection) noexcept;
// What all keys of one object begin with.
KeyText object_prefix(std::string_view partition, Collection collection, uint64_t object) noexcept;

struct DecodedKey {
  std::string_view partition;
  Key key;  // key.name lies in what was decoded
};
// Nothing, where it is not byte for byte a key that encode_key() makes.
std::optional<DecodedKey> decode_key(std::string_view bytes) noexcept;

}  // namespace dpfs::kv::rocks
