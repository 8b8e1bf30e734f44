// SPDX-License-Identifier: Apache-2.0
// KeptWrites: memory for what may have to be sent again.
#include "backend/nfs/unstable_writes.h"

#include <gtest/gtest.h>

#include <cstring>

namespace dpfs::nfs {
namespace {

TEST(KeptWrites, EverySizeUpTo8MiBHasRoom) {
  KeptWrites writes;
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{4096}, size_t{4097}, size_t{8192}, size_t{8193}, size_t{65536},
        size_t{1} << 20, (size_t{1} << 20) + 1, size_t{8} << 20}) {
    KeptWrite* write = writes.take(bytes);
    ASSERT_NE(write, nullptr) << bytes;
    EXPECT_EQ(write->view().size(), bytes);
    std::memset(write->data(), 0xab, bytes);  // AddressSanitizer looks
    writes.give(*write);
  }
  EXPECT_EQ(writes.take((size_t{8} << 20) + 1), nullptr);
  EXPECT_EQ(writes.take(SIZE_MAX - 5000), nullptr);
}

TEST(KeptWrites, MemoryIsUsedAgain) {
  KeptWrites writes;
  KeptWrite* first = writes.take(5000);
  writes.give(*first);
  EXPECT_EQ(writes.take(8000), first);  // of the same class
  writes.give(*first);
}

TEST(KeptWrites, WhatIsKeptIsCounted) {
  KeptWrites writes;
  EXPECT_EQ(writes.kept(), 0u);
  KeptWrite* small = writes.take(100);
  EXPECT_EQ(writes.kept(), 4096u);
  KeptWrite* large = writes.take(100'000);
  EXPECT_EQ(writes.kept(), 4096u + 131'072u);
  writes.give(*small);
  writes.give(*large);
  EXPECT_EQ(writes.kept(), 0u);
}

TEST(KeptWrites, MoreThanAFewMiBIsGivenBackToTheSystem) {
  KeptWrites writes;
  std::array<KeptWrite*, 20> all{};
  for (KeptWrite*& write : all) write = writes.take(size_t{1} << 20);
  for (KeptWrite* write : all) writes.give(*write);
  EXPECT_EQ(writes.kept(), 0u);
  // AddressSanitizer sees that nothing is lost; and there are some to be had again.
  KeptWrite* again = writes.take(size_t{1} << 20);
  ASSERT_NE(again, nullptr);
  writes.give(*again);
}

}  // namespace
}  // namespace dpfs::nfs
