// SPDX-License-Identifier: Apache-2.0
// PageMap: which 4 KiB pages of a part of a file are stored; and how ranges of bytes fall into
// parts.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "backend/kv/records.h"
#include "base/result.h"

namespace dpfs::kv {

// One record of the collection `pages`: a bit for each of 1024 pages (4 MiB). Its number is that of
// its first page / 1024. What is not stored is a hole (lseek(2), SEEK_DATA and SEEK_HOLE).
// Ranges of pages are [begin, behind), numbers within the map, with begin <= behind <= kPages.
class PageMap {
 public:
  static constexpr uint32_t kPages = 1024;
  static constexpr size_t kBytes = kPages / 8;

  // How many were not set before.
  uint32_t set(uint32_t begin, uint32_t behind) noexcept;
  // How many were set before.
  uint32_t clear(uint32_t begin, uint32_t behind) noexcept;
  // The first one from there on; kPages: none.
  uint32_t next_set(uint32_t from) const noexcept;
  uint32_t next_clear(uint32_t from) const noexcept;
  uint32_t count() const noexcept;
  bool any(uint32_t begin, uint32_t behind) const noexcept { return next_set(begin) < behind; }
  bool none() const noexcept { return next_set(0) == kPages; }
  bool test(uint32_t page) const noexcept { return (words_[page / 64] >> page % 64 & 1) != 0; }
  bool operator==(const PageMap&) const = default;

  // Sixteen big-endian numbers; page 0 is the lowest bit of the first. EIO: not kBytes long.
  static Result<PageMap> decode(std::string_view record) noexcept;
  void encode(std::span<char, kBytes> into) const noexcept;

 private:
  std::array<uint64_t, kPages / 64> words_{};
};

inline constexpr uint64_t kGroupBytes = uint64_t{PageMap::kPages} * kPageBytes;

// A part of a range of numbers that lies in one of equal pieces, counted from 0.
struct Piece {
  uint64_t number;  // of the piece
  uint64_t begin;   // in the piece
  uint64_t count;
  bool operator==(const Piece&) const = default;
};

// for (const Piece& piece : pieces_of(offset, length, chunk_bytes)): in order, none is empty.
// offset + length is at most 2^63.
class Pieces {
 public:
  class Iterator {
   public:
    Iterator(uint64_t at, uint64_t behind, uint64_t size) noexcept
        : at_(at), behind_(behind), size_(size) {}
    Piece operator*() const noexcept {
      const uint64_t begin = at_ % size_;
      return {
          .number = at_ / size_, .begin = begin, .count = std::min(size_ - begin, behind_ - at_)};
    }
    Iterator& operator++() noexcept {
      at_ += (**this).count;
      return *this;
    }
    bool operator==(const Iterator& other) const noexcept { return at_ == other.at_; }

   private:
    uint64_t at_;
    uint64_t behind_;
    uint64_t size_;
  };

  Pieces(uint64_t offset, uint64_t length, uint64_t size) noexcept
      : offset_(offset), behind_(offset + length), size_(size) {}
  Iterator begin() const noexcept { return {offset_, behind_, size_}; }
  Iterator end() const noexcept { return {behind_, behind_, size_}; }

 private:
  uint64_t offset_;
  uint64_t behind_;
  uint64_t size_;
};

inline Pieces pieces_of(uint64_t offset, uint64_t length, uint64_t size) noexcept {
  return {offset, length, size};
}
// The maps, and the pages in them, that a range of bytes touches.
inline Pieces pages_touched(uint64_t offset, uint64_t length) noexcept {
  if (length == 0) return {0, 0, PageMap::kPages};
  const uint64_t first = offset / kPageBytes;
  const uint64_t last = (offset + length - 1) / kPageBytes;
  return {first, last - first + 1, PageMap::kPages};
}
// Those of which the range has every byte: what a hole takes away as a whole.
inline Pieces pages_covered(uint64_t offset, uint64_t length) noexcept {
  const uint64_t first = (offset + kPageBytes - 1) / kPageBytes;
  const uint64_t behind = (offset + length) / kPageBytes;
  if (behind <= first) return {0, 0, PageMap::kPages};
  return {first, behind - first, PageMap::kPages};
}

}  // namespace dpfs::kv
