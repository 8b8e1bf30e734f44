// SPDX-License-Identifier: Apache-2.0
// How the fields of a stored record lie one behind the other: integers big-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/assert.h"

namespace dpfs::kv {

// Fills a buffer that is large enough for the record.
class RecordWriter {
 public:
  explicit RecordWriter(std::span<char> room) noexcept : room_(room) {}

  template <class T>
  void put(T value) noexcept {
    static_assert(std::is_integral_v<T>);
    auto bits = static_cast<std::make_unsigned_t<T>>(value);
    DPFS_ASSERT(size_ + sizeof bits <= room_.size());
    for (size_t i = sizeof bits; i-- > 0; bits = static_cast<decltype(bits)>(bits >> 4 >> 4)) {
      room_[size_ + i] = static_cast<char>(bits & 0xff);
    }
    size_ += sizeof bits;
  }
  void put_bytes(std::string_view bytes) noexcept {
    DPFS_ASSERT(size_ + bytes.size() <= room_.size());
    if (!bytes.empty()) std::memcpy(room_.data() + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  std::string_view view() const noexcept { return {room_.data(), size_}; }

 private:
  std::span<char> room_;
  size_t size_ = 0;
};

// Of a record that is too short, the missing fields are 0, and ends_well() is false.
class RecordReader {
 public:
  explicit RecordReader(std::string_view bytes) noexcept : bytes_(bytes) {}

  template <class T>
  T take() noexcept {
    static_assert(std::is_integral_v<T>);
    std::make_unsigned_t<T> bits = 0;
    const std::string_view field = take_bytes(sizeof bits);
    for (const char byte : field) {
      bits = static_cast<decltype(bits)>(bits << 4 << 4 | static_cast<unsigned char>(byte));
    }
    return static_cast<T>(bits);
  }
  std::string_view take_bytes(size_t size) noexcept {
    if (size > bytes_.size()) {
      ok_ = false;
      bytes_ = {};
      return {};
    }
    const std::string_view taken = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return taken;
  }
  std::string_view take_rest() noexcept { return take_bytes(bytes_.size()); }
  // Nothing was missing, and nothing is left.
  bool ends_well() const noexcept { return ok_ && bytes_.empty(); }

 private:
  std::string_view bytes_;
  bool ok_ = true;
};

}  // namespace dpfs::kv
