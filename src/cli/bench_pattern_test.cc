// SPDX-License-Identifier: Apache-2.0
// The content that --verify expects.
#include "cli/bench_pattern.h"

#include <gtest/gtest.h>

#include <vector>

namespace dpfs::cli {
namespace {

class BenchPatternTest : public testing::Test {
 protected:
  BenchPatternTest() : block_(4096) { pattern_.fill(block_, 8192, 3); }

  BenchPattern pattern_{42};
  std::vector<std::byte> block_;
};

TEST_F(BenchPatternTest, RightContentIsAccepted) {
  EXPECT_EQ(pattern_.check(block_, 8192, 3), block_.size());
}

TEST_F(BenchPatternTest, WrongByteIsFoundWhereItIs) {
  block_[1234] ^= std::byte{1};
  EXPECT_EQ(pattern_.check(block_, 8192, 3), 1234u);
}

TEST_F(BenchPatternTest, StaleGenerationIsFound) { EXPECT_LT(pattern_.check(block_, 8192, 2), 8u); }

TEST_F(BenchPatternTest, ShiftedBlockIsFound) { EXPECT_LT(pattern_.check(block_, 4096, 3), 8u); }

TEST_F(BenchPatternTest, AnotherSeedIsFound) {
  EXPECT_LT(BenchPattern(43).check(block_, 8192, 3), 8u);
}

TEST_F(BenchPatternTest, PieceOfOddSizeHasTheSameContent) {
  EXPECT_EQ(pattern_.check(std::span(block_).first(1001), 8192, 3), 1001u);
  EXPECT_EQ(pattern_.check(std::span(block_).subspan(512), 8192 + 512, 3), block_.size() - 512);
}

TEST(BenchRandom, StaysBelowItsBoundAndReachesAllOfIt) {
  BenchRandom random(7);
  std::vector<int> seen(10);
  for (int i = 0; i < 1000; ++i) ++seen.at(random.below(10));
  for (int count : seen) EXPECT_GT(count, 0);
}

}  // namespace
}  // namespace dpfs::cli
