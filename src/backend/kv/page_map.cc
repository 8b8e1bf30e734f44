// SPDX-License-Identifier: Apache-2.0
// Bits of pages, sixty-four at a time.
#include "backend/kv/page_map.h"

#include <bit>

namespace dpfs::kv {
namespace {

// The bits of word `word` that [begin, behind) has.
uint64_t mask_of(uint32_t word, uint32_t begin, uint32_t behind) noexcept {
  const uint32_t first = word * 64;
  if (behind <= first || begin >= first + 64) return 0;
  uint64_t mask = ~uint64_t{0};
  if (begin > first) mask &= ~uint64_t{0} << (begin - first);
  if (behind < first + 64) mask &= ~(~uint64_t{0} << (behind - first));
  return mask;
}

uint32_t ones(uint64_t word) noexcept { return static_cast<uint32_t>(std::popcount(word)); }

}  // namespace

uint32_t PageMap::set(uint32_t begin, uint32_t behind) noexcept {
  uint32_t changed = 0;
  for (uint32_t i = 0; i < words_.size(); ++i) {
    const uint64_t mask = mask_of(i, begin, behind);
    changed += ones(mask & ~words_[i]);
    words_[i] |= mask;
  }
  return changed;
}

uint32_t PageMap::clear(uint32_t begin, uint32_t behind) noexcept {
  uint32_t changed = 0;
  for (uint32_t i = 0; i < words_.size(); ++i) {
    const uint64_t mask = mask_of(i, begin, behind);
    changed += ones(mask & words_[i]);
    words_[i] &= ~mask;
  }
  return changed;
}

uint32_t PageMap::next_set(uint32_t from) const noexcept {
  for (uint32_t i = from / 64; i < words_.size(); ++i) {
    const uint64_t found = words_[i] & mask_of(i, from, kPages);
    if (found != 0) return i * 64 + static_cast<uint32_t>(std::countr_zero(found));
  }
  return kPages;
}

uint32_t PageMap::next_clear(uint32_t from) const noexcept {
  for (uint32_t i = from / 64; i < words_.size(); ++i) {
    const uint64_t found = ~words_[i] & mask_of(i, from, kPages);
    if (found != 0) return i * 64 + static_cast<uint32_t>(std::countr_zero(found));
  }
  return kPages;
}

uint32_t PageMap::count() const noexcept {
  uint32_t sum = 0;
  for (const uint64_t word : words_) sum += ones(word);
  return sum;
}

Result<PageMap> PageMap::decode(std::string_view record) noexcept {
  if (record.size() != kBytes) return Errno::io;
  PageMap map;
  for (size_t i = 0; i < kBytes; ++i) {
    map.words_[i / 8] = map.words_[i / 8] << 8 | static_cast<uint8_t>(record[i]);
  }
  return map;
}

void PageMap::encode(std::span<char, kBytes> into) const noexcept {
  for (size_t i = 0; i < kBytes; ++i) {
    into[i] = static_cast<char>(words_[i / 8] >> (56 - 8 * (i % 8)));
  }
}

}  // namespace dpfs::kv
