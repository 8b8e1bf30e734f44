// SPDX-License-Identifier: Apache-2.0
// Maps of pages beside a vector of bits; ranges and their pieces.
#include "backend/kv/page_map.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace dpfs::kv {
namespace {

using Bits = std::vector<bool>;

uint32_t next(const Bits& bits, uint32_t from, bool what) {
  while (from < bits.size() && bits[from] != what) ++from;
  return from;
}

std::vector<Piece> all(const Pieces& pieces) {
  std::vector<Piece> found;
  for (const Piece& piece : pieces) found.push_back(piece);
  return found;
}

}  // namespace

TEST(PageMap, EveryRangeIsSetAndClearedAlone) {
  for (uint32_t begin = 0; begin <= 200; ++begin) {
    for (uint32_t behind = begin; behind <= 200; ++behind) {
      PageMap map;
      ASSERT_EQ(map.set(begin, behind), behind - begin);
      ASSERT_EQ(map.count(), behind - begin);
      ASSERT_EQ(map.next_set(0), begin == behind ? PageMap::kPages : begin);
      ASSERT_EQ(map.next_clear(begin), behind);
      ASSERT_EQ(map.clear(begin, behind), behind - begin);
      ASSERT_TRUE(map.none());
    }
  }
}

TEST(PageMap, EverythingIsAsInAVectorOfBits) {
  const uint32_t seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  PageMap map;
  Bits bits(PageMap::kPages);
  for (int round = 0; round < 5000; ++round) {
    const uint32_t begin = random() % (PageMap::kPages + 1);
    const uint32_t behind = begin + random() % (PageMap::kPages + 1 - begin);
    const bool to = random() % 2 == 0;
    uint32_t changed = 0;
    for (uint32_t i = begin; i < behind; ++i) {
      changed += bits[i] != to;
      bits[i] = to;
    }
    ASSERT_EQ(to ? map.set(begin, behind) : map.clear(begin, behind), changed);
    ASSERT_EQ(map.next_set(begin), next(bits, begin, true));
    ASSERT_EQ(map.next_clear(begin), next(bits, begin, false));
    std::string record(PageMap::kBytes, 0);
    map.encode(std::span<char, PageMap::kBytes>(record.data(), record.size()));
    ASSERT_EQ(*PageMap::decode(record), map);
  }
}

TEST(PageMap, OtherLengthsAreNoRecord) {
  for (size_t bytes = 0; bytes < 300; ++bytes) {
    EXPECT_EQ(bool{PageMap::decode(std::string(bytes, 1))}, bytes == PageMap::kBytes) << bytes;
  }
}

TEST(PageMap, FirstPageIsTheLowestBitOfABigEndianNumber) {
  PageMap map;
  map.set(0, 1);
  std::string record(PageMap::kBytes, 0);
  map.encode(std::span<char, PageMap::kBytes>(record.data(), record.size()));
  EXPECT_EQ(record[7], 1);
}

TEST(Pieces, CoverTheRangeInOrder) {
  for (uint64_t offset = 0; offset < 20; ++offset) {
    for (uint64_t length = 0; length < 30; ++length) {
      uint64_t at = offset;
      for (const Piece& piece : pieces_of(offset, length, 7)) {
        ASSERT_EQ(piece.number * 7 + piece.begin, at);
        ASSERT_GT(piece.count, 0u);
        ASSERT_LE(piece.begin + piece.count, 7u);
        at += piece.count;
      }
      ASSERT_EQ(at, offset + length);
    }
  }
}

TEST(Pieces, PagesThatAreTouchedAndThoseThatAreCovered) {
  EXPECT_EQ(all(pages_touched(4095, 2)), (std::vector<Piece>{{0, 0, 2}}));
  EXPECT_TRUE(all(pages_touched(4095, 0)).empty());
  EXPECT_TRUE(all(pages_covered(1, 8190)).empty());
  EXPECT_EQ(all(pages_covered(1, 8191)), (std::vector<Piece>{{0, 1, 1}}));
  EXPECT_EQ(all(pages_covered(4 << 20, 8192)), (std::vector<Piece>{{1, 0, 2}}));
  EXPECT_EQ(all(pages_touched((4 << 20) - 1, 2)), (std::vector<Piece>{{0, 1023, 1}, {1, 0, 1}}));
}

}  // namespace dpfs::kv
