// SPDX-License-Identifier: Apache-2.0
// LockRanges: what POSIX says of one owner's locks on one file.
#include "backend/nfs/lock_ranges.h"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <random>
#include <vector>

namespace dpfs::nfs {

void PrintTo(const LockRange& range, std::ostream* out) {
  *out << (range.type == LockType::read ? "read " : "write ") << range.begin << "-" << range.end;
}

namespace {

using enum LockType;
using Ranges = std::vector<LockRange>;

LockRanges locked(std::initializer_list<LockRange> all) {
  LockRanges ranges;
  for (const LockRange& range : all) ranges.lock(range);
  return ranges;
}

TEST(LockRanges, ApartTheyStayApartInOrder) {
  EXPECT_EQ(locked({{20, 30, read}, {0, 10, read}}).all(), (Ranges{{0, 10, read}, {20, 30, read}}));
}

TEST(LockRanges, NeighboursOfOneTypeBecomeOne) {
  EXPECT_EQ(locked({{0, 10, read}, {20, 30, read}, {10, 20, read}}).all(), (Ranges{{0, 30, read}}));
  EXPECT_EQ(locked({{10, 20, write}, {5, 10, write}}).all(), (Ranges{{5, 20, write}}));
}

TEST(LockRanges, NeighboursOfTwoTypesStayTwo) {
  EXPECT_EQ(locked({{0, 10, read}, {10, 20, write}}).all(),
            (Ranges{{0, 10, read}, {10, 20, write}}));
}

TEST(LockRanges, OverlappingOnesOfOneTypeBecomeOne) {
  EXPECT_EQ(locked({{0, 10, read}, {5, 20, read}}).all(), (Ranges{{0, 20, read}}));
  EXPECT_EQ(locked({{5, 6, read}, {8, 9, read}, {0, 20, read}}).all(), (Ranges{{0, 20, read}}));
}

TEST(LockRanges, AnotherTypeReplacesAndSplits) {
  EXPECT_EQ(locked({{0, 30, read}, {10, 20, write}}).all(),
            (Ranges{{0, 10, read}, {10, 20, write}, {20, 30, read}}));
  EXPECT_EQ(locked({{0, 30, read}, {10, 20, write}, {10, 20, read}}).all(),
            (Ranges{{0, 30, read}}));
}

TEST(LockRanges, UnlockingInTheMiddleSplits) {
  LockRanges ranges = locked({{0, 30, write}});
  ranges.unlock(10, 20);
  EXPECT_EQ(ranges.all(), (Ranges{{0, 10, write}, {20, 30, write}}));
  ranges.unlock(5, 25);
  EXPECT_EQ(ranges.all(), (Ranges{{0, 5, write}, {25, 30, write}}));
  ranges.unlock(0, kToTheEnd);
  EXPECT_TRUE(ranges.empty());
}

TEST(LockRanges, WhatIsNotLockedMayBeUnlocked) {
  LockRanges ranges = locked({{10, 20, read}});
  ranges.unlock(0, 10);
  ranges.unlock(20, kToTheEnd);
  EXPECT_EQ(ranges.all(), (Ranges{{10, 20, read}}));
}

TEST(LockRanges, ToTheEndIsOneRange) {
  LockRanges ranges = locked({{10, kToTheEnd, write}});
  ranges.unlock(100, 200);
  EXPECT_EQ(ranges.all(), (Ranges{{10, 100, write}, {200, kToTheEnd, write}}));
  ranges.lock({50, kToTheEnd, write});
  EXPECT_EQ(ranges.all(), (Ranges{{10, kToTheEnd, write}}));
  ranges.unlock(300, kToTheEnd);
  EXPECT_EQ(ranges.all(), (Ranges{{10, 300, write}}));
}

// Beside a model that has a type for each byte.
TEST(LockRanges, RandomOnesAreAsByteByByte) {
  constexpr uint64_t kBytes = 40;
  std::mt19937 random(4711);
  for (int round = 0; round < 200; ++round) {
    LockRanges ranges;
    std::array<int, kBytes> model{};
    for (int step = 0; step < 30; ++step) {
      const uint64_t begin = random() % kBytes;
      const uint64_t end = begin + 1 + random() % (kBytes - begin);
      const int what = static_cast<int>(random() % 3);
      std::fill(model.begin() + static_cast<ptrdiff_t>(begin),
                model.begin() + static_cast<ptrdiff_t>(end), what);
      if (what == 0) {
        ranges.unlock(begin, end);
      } else {
        ranges.lock({begin, end, static_cast<LockType>(what)});
      }
      Ranges expected;
      for (uint64_t i = 0; i < kBytes; ++i) {
        if (model[i] == 0) continue;
        if (i > 0 && model[i - 1] == model[i]) {
          expected.back().end = i + 1;
        } else {
          expected.push_back({i, i + 1, static_cast<LockType>(model[i])});
        }
      }
      ASSERT_EQ(ranges.all(), expected);
    }
  }
}

}  // namespace
}  // namespace dpfs::nfs
