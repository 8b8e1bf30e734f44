// SPDX-License-Identifier: Apache-2.0
// How records are called on the server.
//
// F is the partition's name. What a commit changes lies in one slot, for its keys have the tag {F}:
//
//   {F}S<object>            a record of a collection that is single: a string. S is the
//                           collection's letter, <object> 8 bytes, big-endian
//   {F}E<object>            the records of one object of a collection that is named or numbered:
//                           a hash, from name (or 8 bytes of number, big-endian) to value
//   {F}e<object>            the same names or numbers, in order: a sorted set, all with score 0.
//                           Only the commit script writes, so the two always agree
//   {F}Z                    what has been carried out (see script.h): a hash
//   Z:F:{<number>}          what sync() has written last to a server: a string. The number is such
//                           that the key is in one of that server's slots
//   C:F:<object>:<number>   a spread record: a string, in a slot of its own. Both are 16
//                           hexadecimal digits
//
// The names of partitions have letters, digits, '.', '_' and '-' only, so that no part of a key can
// be taken for another one, nor for a pattern of SCAN.
#pragma once

#include <array>
#include <cstring>
#include <string>
#include <string_view>

#include "backend/kv/store.h"

namespace dpfs::kv::valkey {

inline constexpr size_t kPartitionBytesMax = 64;
bool is_partition_name(std::string_view name) noexcept;

// A key, or another short word, in a place of its own.
class Word {
 public:
  std::string_view view() const noexcept { return {bytes_.data(), size_}; }
  void add(std::string_view text) noexcept {
    std::memcpy(bytes_.data() + size_, text.data(), text.size());
    size_ += text.size();
  }
  void add(char c) noexcept { bytes_[size_++] = c; }
  void add_number(uint64_t number) noexcept {  // 8 bytes, big-endian
    for (int shift = 56; shift >= 0; shift -= 8) add(static_cast<char>(number >> shift & 0xff));
  }
  void add_hex(uint64_t number) noexcept {
    for (int shift = 60; shift >= 0; shift -= 4) add("0123456789abcdef"[number >> shift & 0xf]);
  }

 private:
  std::array<char, 128> bytes_;
  size_t size_ = 0;
};

class Keys {
 public:
  explicit Keys(std::string_view partition) : partition_(partition), tag_('{' + partition_ + '}') {}

  const std::string& partition() const noexcept { return partition_; }
  const std::string& tag() const noexcept { return tag_; }

  // The string's key, or the hash's.
  Word record(const Key& key) const noexcept;
  // The sorted set's, of a collection that is named or numbered.
  Word index(Collection collection, uint64_t object) const noexcept;
  Word progress() const noexcept;
  // Takes some tenths of a millisecond to find.
  std::string mark(uint16_t slot) const;
  // What all keys of a collection begin with (the strings', or the hashes').
  std::string prefix(Collection collection) const;

  // The reverse, of what the server says: strict. A hash gives its object, with number 0.
  bool decode(Collection collection, std::string_view text, Key& key) const noexcept;

 private:
  std::string partition_;
  std::string tag_;
};

inline bool is_hash(Collection collection) noexcept {
  return shape_of(collection) == Shape::named || shape_of(collection) == Shape::numbered;
}

// What a record of a collection that is named or numbered is called within its hash.
Word item(uint64_t number) noexcept;
bool decode_item(std::string_view text, Key& key) noexcept;

}  // namespace dpfs::kv::valkey
