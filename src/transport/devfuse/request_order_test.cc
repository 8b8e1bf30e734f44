// SPDX-License-Identifier: Apache-2.0
// RequestOrder: who is early, and for how long.
#include "transport/devfuse/request_order.h"

#include <gtest/gtest.h>

namespace dpfs::devfuse {
namespace {

TEST(RequestOrder, NobodyIsEarlyWhereAllComeInOrder) {
  RequestOrder order;
  for (uint64_t unique = 2; unique < 1000; unique += 2) {
    order.fetched(unique);
    EXPECT_FALSE(order.is_early(unique));
  }
}

TEST(RequestOrder, FirstNumberMayBeAny) {
  RequestOrder order;
  order.fetched(123456);
  EXPECT_FALSE(order.is_early(123456));
}

TEST(RequestOrder, OneIsEarlyUntilThoseBeforeItHaveCome) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(8);
  EXPECT_TRUE(order.is_early(8));
  order.fetched(6);
  EXPECT_TRUE(order.is_early(8));
  EXPECT_TRUE(order.is_early(6));
  order.fetched(4);
  EXPECT_FALSE(order.is_early(8));
  EXPECT_FALSE(order.is_early(6));
}

TEST(RequestOrder, OneBeforeAGapIsNotEarly) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(4);
  order.fetched(10);
  EXPECT_FALSE(order.is_early(4));
  EXPECT_TRUE(order.is_early(10));
}

TEST(RequestOrder, SameNumberAgainChangesNothing) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(6);
  order.fetched(6);
  EXPECT_TRUE(order.is_early(6));
  order.fetched(4);
  order.fetched(6);
  EXPECT_FALSE(order.is_early(6));
}

TEST(RequestOrder, InterruptsAndNumberlessMessagesDoNotCount) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(0);
  order.fetched(9);
  order.fetched(4);
  EXPECT_FALSE(order.is_early(4));
}

TEST(RequestOrder, NumberThatNeverComesIsForgotten) {
  RequestOrder order;
  order.fetched(2);
  uint64_t unique = 6;  // 4 is missing
  for (int i = 0; i < 63; ++i, unique += 2) {
    order.fetched(unique);
    EXPECT_TRUE(order.is_early(unique)) << unique;
  }
  order.fetched(unique);
  EXPECT_FALSE(order.is_early(unique));
}

TEST(RequestOrder, NobodyIsEarlyForANumberThatWasGivenUp) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(6);
  order.give_up();
  EXPECT_FALSE(order.is_early(6));
  order.fetched(10);
  EXPECT_TRUE(order.is_early(10)) << "another one";
}

TEST(RequestOrder, LeapLeavesOnlyGapsThatAreRemembered) {
  RequestOrder order;
  order.fetched(2);
  order.fetched(2000);
  EXPECT_TRUE(order.is_early(2000));
  EXPECT_FALSE(order.is_early(2)) << "long ago";
  order.fetched(2);
  order.fetched(1000);
  EXPECT_TRUE(order.is_early(2000));
}

}  // namespace
}  // namespace dpfs::devfuse
