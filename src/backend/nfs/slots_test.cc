// SPDX-License-Identifier: Apache-2.0
// Slots: which are free, and how many may be used.
#include "backend/nfs/slots.h"

#include <gtest/gtest.h>

namespace dpfs::nfs {
namespace {

TEST(Slots, TheLowestIsTakenFirst) {
  Slots slots;
  slots.reset(3);
  EXPECT_EQ(slots.take(), 0u);
  EXPECT_EQ(slots.take(), 1u);
  EXPECT_EQ(slots.take(), 2u);
  EXPECT_EQ(slots.take(), Slots::kNone);
  EXPECT_EQ(slots.in_use(), 3u);
}

TEST(Slots, TheOneGivenLastIsTakenNext) {
  Slots slots;
  slots.reset(3);
  for (int i = 0; i < 3; ++i) slots.take();
  slots.give(1);
  slots.give(0);
  EXPECT_EQ(slots.take(), 0u);
  EXPECT_EQ(slots.take(), 1u);
}

TEST(Slots, TheServersLimitHoldsForThoseInUse) {
  Slots slots;
  slots.reset(4);
  slots.set_limit(2);
  slots.take();
  const uint32_t second = slots.take();
  EXPECT_EQ(slots.take(), Slots::kNone);
  slots.give(second);
  EXPECT_NE(slots.take(), Slots::kNone);
  slots.set_limit(1);  // fewer than there are under way
  EXPECT_EQ(slots.take(), Slots::kNone);
  slots.set_limit(4);
  EXPECT_NE(slots.take(), Slots::kNone);
}

TEST(Slots, OneIsAlwaysLeft) {
  Slots slots;
  slots.reset(4);
  slots.set_limit(0);
  EXPECT_EQ(slots.take(), 0u);
  EXPECT_EQ(slots.take(), Slots::kNone);
}

TEST(Slots, ANewSessionBeginsWithSequenceOne) {
  Slots slots;
  slots.reset(2);
  slots.at(slots.take()).sequence = 77;
  slots.give(0);
  slots.reset(1);  // it may be a smaller one
  EXPECT_EQ(slots.count(), 1u);
  EXPECT_EQ(slots.at(0).sequence, 1u);
  EXPECT_EQ(slots.take(), 0u);
  EXPECT_EQ(slots.take(), Slots::kNone);
  slots.give(0);
  slots.reset(Slots::kMax);
  EXPECT_EQ(slots.count(), Slots::kMax);
  EXPECT_EQ(slots.in_use(), 0u);
}

TEST(Slots, SequencesStayWithTheirSlots) {
  Slots slots;
  slots.reset(2);
  const uint32_t index = slots.take();
  ++slots.at(index).sequence;
  slots.give(index);
  EXPECT_EQ(slots.take(), index);
  EXPECT_EQ(slots.at(index).sequence, 2u);
}

}  // namespace
}  // namespace dpfs::nfs
