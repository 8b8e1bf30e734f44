// SPDX-License-Identifier: Apache-2.0
// Quantiles of known distributions.
#include "base/histogram.h"

#include <gtest/gtest.h>

namespace dpfs {
namespace {

TEST(Histogram, EmptyOneAnswersZero) {
  Histogram histogram;
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(Histogram, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.record(value);
  EXPECT_EQ(histogram.quantile(0.5), 50u);
  EXPECT_EQ(histogram.quantile(0.99), 99u);
  EXPECT_EQ(histogram.quantile(1), 100u);
  EXPECT_EQ(histogram.quantile(0), 1u);
}

TEST(Histogram, LargeValuesAreExactToOneSixtyFourth) {
  for (uint64_t value = 100; value < (1ull << 40); value = value * 3 + 7) {
    Histogram histogram;
    histogram.record(value);
    histogram.record(1ull << 41);
    EXPECT_GE(histogram.quantile(0.5), value);
    EXPECT_LE(histogram.quantile(0.5), value + value / 64);
  }
}

TEST(Histogram, QuantileNeverExceedsTheMaximum) {
  Histogram histogram;
  histogram.record(1'000'003);
  EXPECT_EQ(histogram.quantile(0.999), 1'000'003u);
}

TEST(Histogram, HugeValuesCountAndKeepTheMaximum) {
  Histogram histogram;
  histogram.record(UINT64_MAX);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.quantile(0.5), UINT64_MAX);
}

TEST(Histogram, MergedOnesAddUp) {
  Histogram one;
  Histogram other;
  for (uint64_t value = 1; value <= 50; ++value) one.record(value);
  for (uint64_t value = 51; value <= 100; ++value) other.record(value);
  one.merge(other);
  EXPECT_EQ(one.count(), 100u);
  EXPECT_EQ(one.quantile(0.5), 50u);
  EXPECT_EQ(one.max(), 100u);
  EXPECT_EQ(one.mean(), 50.5);
}

}  // namespace
}  // namespace dpfs
