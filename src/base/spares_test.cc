// SPDX-License-Identifier: Apache-2.0
// Buffers that are used again, and their maximum.
#include "base/spares.h"

#include <gtest/gtest.h>

namespace dpfs {
namespace {

TEST(Spares, BufferThatWasGivenBackIsUsedAgain) {
  Spares<int> spares;
  const int* first = [&] { return &*spares.take(); }();
  EXPECT_EQ(&*spares.take(), first);
}

TEST(Spares, NoneIsLeftBeyondTheMaximum) {
  Spares<int> spares(2);
  const Spares<int>::Lease one = spares.take();
  {
    const Spares<int>::Lease two = spares.take();
    EXPECT_TRUE(two);
    EXPECT_FALSE(spares.take());
  }
  EXPECT_TRUE(spares.take());
}

}  // namespace
}  // namespace dpfs
