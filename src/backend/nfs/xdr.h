// SPDX-License-Identifier: Apache-2.0
// XDR (RFC 4506): big-endian words, opaque bytes padded to four. Bounded both ways, no allocation.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "base/assert.h"

namespace dpfs::nfs {

using Bytes = std::span<const uint8_t>;

constexpr uint32_t to_big_endian(uint32_t value) noexcept {
  return std::endian::native == std::endian::big ? value : __builtin_bswap32(value);
}
constexpr uint64_t to_big_endian(uint64_t value) noexcept {
  return std::endian::native == std::endian::big ? value : __builtin_bswap64(value);
}
// Bytes that follow an opaque of that length, so that the next item begins at a multiple of four.
constexpr size_t xdr_padding(size_t bytes) noexcept { return (4 - bytes % 4) % 4; }

// Writes into room that somebody lends. What does not fit is not written, and overflowed() says so
// at the end: whoever encodes need not ask after each item.
class XdrWriter {
 public:
  explicit XdrWriter(std::span<uint8_t> room) noexcept : room_(room) {}

  void u32(uint32_t value) noexcept { put(to_big_endian(value)); }
  void u64(uint64_t value) noexcept { put(to_big_endian(value)); }
  void i64(int64_t value) noexcept { u64(static_cast<uint64_t>(value)); }
  void boolean(bool value) noexcept { u32(value ? 1 : 0); }
  template <class Enum>
    requires std::is_enum_v<Enum>
  void enumerator(Enum value) noexcept {
    u32(static_cast<uint32_t>(value));
  }
  // Of a length that both sides know.
  void fixed(Bytes bytes) noexcept {
    uint8_t* at = take(bytes.size() + xdr_padding(bytes.size()));
    if (at == nullptr) return;
    if (!bytes.empty()) std::memcpy(at, bytes.data(), bytes.size());
    std::memset(at + bytes.size(), 0, xdr_padding(bytes.size()));
  }
  void opaque(Bytes bytes) noexcept {
    u32(static_cast<uint32_t>(bytes.size()));
    fixed(bytes);
  }
  void text(std::string_view text) noexcept {
    opaque({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }

  // A word that is known later: where it is, and then what it is.
  size_t reserve_u32() noexcept {
    const size_t at = size_;
    u32(0);
    return at;
  }
  void patch_u32(size_t at, uint32_t value) noexcept {
    if (at + sizeof value > size_) return;
    value = to_big_endian(value);
    std::memcpy(room_.data() + at, &value, sizeof value);
  }

  // What lies there already stays.
  void step_over(size_t bytes) noexcept { take(bytes); }

  size_t size() const noexcept { return size_; }
  Bytes bytes() const noexcept { return room_.first(size_); }
  bool overflowed() const noexcept { return overflowed_; }

 private:
  uint8_t* take(size_t bytes) noexcept {
    if (overflowed_ || room_.size() - size_ < bytes) {
      overflowed_ = true;
      return nullptr;
    }
    uint8_t* at = room_.data() + size_;
    size_ += bytes;
    return at;
  }
  template <class Word>
  void put(Word big_endian) noexcept {
    if (uint8_t* at = take(sizeof big_endian)) std::memcpy(at, &big_endian, sizeof big_endian);
  }

  std::span<uint8_t> room_;
  size_t size_ = 0;
  bool overflowed_ = false;
};

// Reads what a server sent, which may be anything. Behind the first item that is not there whole
// everything reads as zero and empty, and failed() says so: whoever decodes looks once, at the end.
class XdrReader {
 public:
  XdrReader() = default;
  explicit XdrReader(Bytes bytes) noexcept : bytes_(bytes) {}

  uint32_t u32() noexcept { return to_big_endian(get<uint32_t>()); }
  uint64_t u64() noexcept { return to_big_endian(get<uint64_t>()); }
  int64_t i64() noexcept { return static_cast<int64_t>(u64()); }
  bool boolean() noexcept { return u32() != 0; }
  Bytes fixed(size_t bytes) noexcept {
    const Bytes all = take(bytes + xdr_padding(bytes));
    return all.empty() ? all : all.first(bytes);
  }
  template <size_t kSize>
  void fixed(std::array<uint8_t, kSize>& to) noexcept {
    const Bytes from = fixed(kSize);
    if (from.empty()) {
      to = {};
    } else {
      std::memcpy(to.data(), from.data(), kSize);
    }
  }
  // More than `max` bytes fail.
  Bytes opaque(size_t max) noexcept {
    const uint32_t size = u32();
    if (size > max) fail();
    return failed_ ? Bytes{} : fixed(size);
  }
  std::string_view text(size_t max) noexcept {
    const Bytes bytes = opaque(max);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  void skip(size_t bytes) noexcept { take(bytes); }

  void fail() noexcept {
    failed_ = true;
    bytes_ = {};
  }
  bool failed() const noexcept { return failed_; }
  size_t left() const noexcept { return bytes_.size(); }

 private:
  Bytes take(size_t bytes) noexcept {
    if (bytes > bytes_.size()) {
      fail();
      return {};
    }
    const Bytes front = bytes_.first(bytes);
    bytes_ = bytes_.subspan(bytes);
    return front;
  }
  template <class Word>
  Word get() noexcept {
    Word word = 0;
    const Bytes from = take(sizeof word);
    if (!from.empty()) std::memcpy(&word, from.data(), sizeof word);
    return word;
  }

  Bytes bytes_;
  bool failed_ = false;
};

}  // namespace dpfs::nfs
