// SPDX-License-Identifier: Apache-2.0
// Limits of bytes and inodes, with changes in flight; and statfs.
#include "backend/kv/usage.h"

#include <gtest/gtest.h>

namespace dpfs::kv {

TEST(Usage, ChangesInFlightCannotExceedALimitTogether) {
  Usage usage({.bytes = 50, .inodes = 1}, {.bytes = 100, .inodes = 3});
  EXPECT_TRUE(usage.reserve({.bytes = 30, .inodes = 1}));
  EXPECT_EQ(usage.reserve({.bytes = 21, .inodes = 0}).error(), Errno::dquot);
  EXPECT_EQ(usage.reserve({.bytes = 0, .inodes = 2}).error(), Errno::dquot);
  EXPECT_TRUE(usage.reserve({.bytes = 20, .inodes = 1}));
  EXPECT_EQ(usage.reserved().bytes, 50);
}

TEST(Usage, ReleasedRoomIsFreeAgain) {
  Usage usage({}, {.bytes = 100, .inodes = 0});
  EXPECT_TRUE(usage.reserve({.bytes = 100, .inodes = 9}));
  usage.release({.bytes = 100, .inodes = 9});
  EXPECT_TRUE(usage.reserve({.bytes = 100, .inodes = 0}));
}

TEST(Usage, SettledIsWhatHasChanged) {
  Usage usage({}, {.bytes = 100, .inodes = 0});
  EXPECT_TRUE(usage.reserve({.bytes = 100, .inodes = 1}));
  usage.settle({.bytes = 100, .inodes = 1}, {.bytes = 40, .inodes = 1});
  EXPECT_EQ(usage.used().bytes, 40);
  EXPECT_EQ(usage.used().inodes, 1);
  EXPECT_TRUE(usage.reserve({.bytes = 60, .inodes = 0}));
}

TEST(Usage, WhatBecomesLessIsAllowedAboveTheLimit) {
  Usage usage({.bytes = 200, .inodes = 5}, {.bytes = 100, .inodes = 2});
  EXPECT_TRUE(usage.reserve({.bytes = -150, .inodes = -4}));
  EXPECT_EQ(usage.reserve({.bytes = 1, .inodes = 0}).error(), Errno::dquot);
  usage.settle({.bytes = -150, .inodes = -4}, {.bytes = -150, .inodes = -4});
  EXPECT_TRUE(usage.reserve({.bytes = 50, .inodes = 1}));
}

TEST(Usage, HugeRequestsDoNotOverflow) {
  Usage usage({.bytes = 1, .inodes = 0}, {.bytes = 100, .inodes = 0});
  EXPECT_EQ(usage.reserve({.bytes = INT64_MAX, .inodes = 0}).error(), Errno::dquot);
}

TEST(Usage, SumsStayNumbersWithoutLimits) {
  Usage usage;
  EXPECT_TRUE(usage.reserve({.bytes = INT64_MAX, .inodes = 0}));
  EXPECT_EQ(usage.reserve({.bytes = 1, .inodes = 0}).error(), Errno::dquot);
}

TEST(Usage, StatfsIsTheEnginesWithoutLimits) {
  const Usage usage({.bytes = 8192, .inodes = 7}, {});
  const fuse::Kstatfs out = usage.statfs({.total_bytes = 4096 * 100, .free_bytes = 4096 * 60});
  EXPECT_EQ(out.blocks, 100u);
  EXPECT_EQ(out.bfree, 60u);
  EXPECT_EQ(out.files, 67u);
  EXPECT_EQ(out.ffree, 60u);
  EXPECT_EQ(out.namelen, 255u);
}

TEST(Usage, StatfsIsTheLimitsWhereTheyAreLess) {
  const Usage usage({.bytes = 4096 * 4, .inodes = 7}, {.bytes = 4096 * 10, .inodes = 9});
  const fuse::Kstatfs out = usage.statfs({.total_bytes = 4096 * 100, .free_bytes = 4096 * 60});
  EXPECT_EQ(out.blocks, 10u);
  EXPECT_EQ(out.bavail, 6u);
  EXPECT_EQ(out.files, 9u);
  EXPECT_EQ(out.ffree, 2u);
  EXPECT_EQ(usage.statfs({.total_bytes = 4096 * 100, .free_bytes = 4096}).bfree, 1u);
}

}  // namespace dpfs::kv
