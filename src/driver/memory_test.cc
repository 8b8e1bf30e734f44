// SPDX-License-Identifier: Apache-2.0
// Tenant memory: addresses and bounds.
#include "driver/memory.h"

#include <gtest/gtest.h>

#include <new>

namespace dpfs::driver {
namespace {

TEST(Memory, BlockIsFoundByItsGuestAddress) {
  Memory memory(1 << 16);
  memory.allocate(100);
  Block block = memory.allocate(64, 4096);
  EXPECT_EQ(block.guest_addr % 4096, 0u);
  EXPECT_EQ(memory.at(block.guest_addr, block.size), block.data);
}

TEST(Memory, RangeThatLeavesItsRegionIsNotFound) {
  Memory memory(4096);
  EXPECT_NE(memory.at(Memory::kFirstGuestAddr, 4096), nullptr);
  EXPECT_EQ(memory.at(Memory::kFirstGuestAddr, 4097), nullptr);
  EXPECT_EQ(memory.at(Memory::kFirstGuestAddr + 4096, 1), nullptr);
  EXPECT_EQ(memory.at(Memory::kFirstGuestAddr - 1, 1), nullptr);
}

TEST(Memory, AllocationGoesToASecondRegionWhenTheFirstIsFull) {
  Memory memory(4096);
  memory.allocate(4096);
  EXPECT_THROW(memory.allocate(1), std::bad_alloc);
  const uint64_t second = Memory::kFirstGuestAddr + (1ull << 30);
  memory.add_region(4096, second);
  EXPECT_EQ(memory.allocate(4096).guest_addr, second);
}

TEST(Memory, RemovedRegionIsNotFound) {
  Memory memory(4096);
  const uint64_t second = Memory::kFirstGuestAddr + (1ull << 30);
  memory.add_region(4096, second);
  memory.remove_region(1);
  EXPECT_EQ(memory.at(second, 1), nullptr);
}

}  // namespace
}  // namespace dpfs::driver
