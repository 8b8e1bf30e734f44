// SPDX-License-Identifier: Apache-2.0
// Keys, to and fro.
#include "backend/kv/valkey/keys.h"

#include <algorithm>
#include <charconv>

#include "backend/kv/valkey/slot.h"

namespace dpfs::kv::valkey {
namespace {

constexpr char kProgressLetter = 'Z';
#define DPFS_KV_COLLECTION(name, shape, letter) \
  static_assert((letter) >= 'A' && (letter) <= 'Y', "lower case is the index, Z is ours");
#include "backend/kv/collections.def"

constexpr size_t kHexDigits = 16;

bool take_hex(std::string_view& text, uint64_t& number) noexcept {
  if (text.size() < kHexDigits) return false;
  const std::string_view digits = text.substr(0, kHexDigits);
  if (std::ranges::any_of(digits, [](char c) { return c >= 'A' && c <= 'F'; })) return false;
  const auto end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number, 16);
  if (error != std::errc() || stop != end) return false;
  text.remove_prefix(kHexDigits);
  return true;
}

bool take_number(std::string_view text, uint64_t& number) noexcept {
  if (text.size() != sizeof number) return false;
  number = 0;
  for (const char c : text) number = number << 8 | static_cast<uint8_t>(c);
  return true;
}

}  // namespace

bool is_partition_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kPartitionBytesMax &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

Word Keys::record(const Key& key) const noexcept {
  Word word;
  if (shape_of(key.collection) == Shape::spread) {
    word.add(letter_of(key.collection));
    word.add(':');
    word.add(partition_);
    word.add(':');
    word.add_hex(key.object);
    word.add(':');
    word.add_hex(key.number);
    return word;
  }
  word.add(tag_);
  word.add(letter_of(key.collection));
  word.add_number(key.object);
  return word;
}

Word Keys::index(Collection collection, uint64_t object) const noexcept {
  Word word;
  word.add(tag_);
  word.add(static_cast<char>(letter_of(collection) - 'A' + 'a'));
  word.add_number(object);
  return word;
}

Word Keys::progress() const noexcept {
  Word word;
  word.add(tag_);
  word.add(kProgressLetter);
  return word;
}

std::string Keys::mark(uint16_t slot) const {
  uint32_t number = 0;
  while (slot_of(std::to_string(number)) != slot) ++number;
  return std::string(1, kProgressLetter) + ':' + partition_ + ":{" + std::to_string(number) + '}';
}

std::string Keys::prefix(Collection collection) const {
  const char letter = letter_of(collection);
  if (shape_of(collection) != Shape::spread) return tag_ + letter;
  return std::string(1, letter) + ':' + partition_ + ':';
}

bool Keys::decode(Collection collection, std::string_view text, Key& key) const noexcept {
  key = {.collection = collection, .object = 0, .number = 0, .name = {}};
  if (shape_of(collection) == Shape::spread) {
    if (text.size() < 2 || text[0] != letter_of(collection) || text[1] != ':') return false;
    text.remove_prefix(2);
    if (!text.starts_with(partition_)) return false;
    text.remove_prefix(partition_.size());
    if (!text.starts_with(':')) return false;
    text.remove_prefix(1);
    if (!take_hex(text, key.object) || !text.starts_with(':')) return false;
    text.remove_prefix(1);
    return take_hex(text, key.number) && text.empty();
  }
  if (!text.starts_with(tag_)) return false;
  text.remove_prefix(tag_.size());
  if (text.empty() || text[0] != letter_of(collection)) return false;
  return take_number(text.substr(1), key.object);
}

Word item(uint64_t number) noexcept {
  Word word;
  word.add_number(number);
  return word;
}

bool decode_item(std::string_view text, Key& key) noexcept {
  if (shape_of(key.collection) == Shape::numbered) return take_number(text, key.number);
  key.name = text;
  return !text.empty() && text.size() <= kNameBytesMax;
}

}  // namespace dpfs::kv::valkey
