// SPDX-License-Identifier: Apache-2.0
// Where reads are made, by how long the last ones took.
#include "backend/kv/rocksdb/patience.h"

#include <gtest/gtest.h>

namespace dpfs::kv::rocks {
namespace {

constexpr uint64_t kQuick = Patience::kQuickNs;
constexpr uint64_t kSlow = kQuick + 1;

// How many go to the pool before the next try.
uint32_t pause_of(Patience& patience) {
  uint32_t count = 0;
  while (!patience.tries()) ++count;
  return count;
}

TEST(Patience, QuickReadsGoOnBeingTried) {
  Patience patience;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(patience.tries());
    patience.took(kQuick);
  }
}

TEST(Patience, SlowReadsAreTriedLessAndLess) {
  Patience patience;
  patience.took(kSlow);
  EXPECT_EQ(pause_of(patience), Patience::kPauseMin);
  patience.took(kSlow);
  EXPECT_EQ(pause_of(patience), 2 * Patience::kPauseMin);
  for (int i = 0; i < 20; ++i) {
    patience.took(kSlow);
    pause_of(patience);
  }
  patience.took(kSlow);
  EXPECT_EQ(pause_of(patience), Patience::kPauseMax);
}

TEST(Patience, QuickReadsWinItBack) {
  Patience patience;
  for (int i = 0; i < 20; ++i) {
    patience.took(kSlow);
    pause_of(patience);
  }
  for (int i = 0; i < 20; ++i) patience.took(kQuick);
  patience.took(kSlow);
  EXPECT_EQ(pause_of(patience), Patience::kPauseMin);
}

}  // namespace
}  // namespace dpfs::kv::rocks
