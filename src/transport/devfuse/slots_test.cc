// SPDX-License-Identifier: Apache-2.0
// Slots: room for messages, and what a burst leaves behind.
#include "transport/devfuse/slots.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <vector>

namespace dpfs::devfuse {
namespace {

constexpr size_t kIoBytes = 1 << 20;
constexpr size_t kPageBytes = 4096;

bool is_touched(const void* address) {
  unsigned char page = 0;
  auto* start = reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) & ~(kPageBytes - 1));
  EXPECT_EQ(mincore(start, kPageBytes, &page), 0);
  return (page & 1) != 0;
}

std::vector<Slot*> take(Slots& slots, uint32_t count) {
  std::vector<Slot*> taken;
  for (uint32_t i = 0; i < count; ++i) taken.push_back(slots.take());
  return taken;
}
void give(Slots& slots, const std::vector<Slot*>& taken) {
  for (Slot* slot : taken) slots.give(*slot);
}

TEST(DevfuseSlots, LargestWriteFitsAndItsPayloadIsAligned) {
  Slots slots(kIoBytes);
  Slot* slot = slots.take();
  // fuse_dev_do_read() refuses a smaller buffer than that.
  EXPECT_GE(slot->message.iov_len, Slots::kWriteArguments + kIoBytes);
  EXPECT_EQ(
      (reinterpret_cast<uintptr_t>(slot->message.iov_base) + Slots::kWriteArguments) % kPageBytes,
      0u);
  EXPECT_GE(slot->reply.iov_len, sizeof(fuse::OutHeader) + kIoBytes);
  EXPECT_EQ(
      (reinterpret_cast<uintptr_t>(slot->reply.iov_base) + sizeof(fuse::OutHeader)) % kPageBytes,
      0u);
  slots.give(*slot);
}

TEST(DevfuseSlots, BuffersDoNotOverlap) {
  Slots slots(kPageBytes);
  const std::vector<Slot*> taken = take(slots, Slots::kCount);
  EXPECT_EQ(slots.free(), 0u);
  for (size_t i = 0; i < taken.size(); ++i) {
    std::memset(taken[i]->message.iov_base, static_cast<int>(i), taken[i]->message.iov_len);
    std::memset(taken[i]->reply.iov_base, ~static_cast<int>(i), taken[i]->reply.iov_len);
  }
  for (size_t i = 0; i < taken.size(); ++i) {
    const auto* message = static_cast<const unsigned char*>(taken[i]->message.iov_base);
    const auto* reply = static_cast<const unsigned char*>(taken[i]->reply.iov_base);
    ASSERT_EQ(message[0], static_cast<unsigned char>(i));
    ASSERT_EQ(message[taken[i]->message.iov_len - 1], static_cast<unsigned char>(i));
    ASSERT_EQ(reply[0], static_cast<unsigned char>(~i));
    ASSERT_EQ(reply[taken[i]->reply.iov_len - 1], static_cast<unsigned char>(~i));
  }
  give(slots, taken);
}

TEST(DevfuseSlots, LastOneGivenIsTakenFirst) {
  Slots slots(kIoBytes);
  const std::vector<Slot*> taken = take(slots, 3);
  give(slots, taken);
  EXPECT_EQ(slots.take(), taken[2]);
  slots.give(*taken[2]);
}

TEST(DevfuseSlots, TrimGivesBackWhatABurstHasTouchedAndKeepsTheFirst) {
  Slots slots(kIoBytes);
  const std::vector<Slot*> taken = take(slots, Slots::kKept + 4);
  for (Slot* slot : taken) *static_cast<char*>(slot->message.iov_base) = 1;
  slots.trim();
  EXPECT_TRUE(is_touched(taken.back()->message.iov_base)) << "it is in use";
  give(slots, taken);
  slots.trim();
  EXPECT_TRUE(is_touched(taken[0]->message.iov_base));
  EXPECT_TRUE(is_touched(taken[Slots::kKept - 1]->message.iov_base));
  EXPECT_FALSE(is_touched(taken[Slots::kKept]->message.iov_base));
  EXPECT_FALSE(is_touched(taken.back()->message.iov_base));
  EXPECT_EQ(slots.take(), taken[0]) << "the first ones are used first again";
  slots.give(*taken[0]);
}

TEST(DevfuseSlots, TrimLeavesThoseThatAreTaken) {
  Slots slots(kIoBytes);
  std::vector<Slot*> taken = take(slots, Slots::kKept + 4);
  for (Slot* slot : taken) *static_cast<char*>(slot->message.iov_base) = 1;
  Slot* const last = taken.back();
  taken.pop_back();
  give(slots, taken);
  slots.trim();
  EXPECT_TRUE(is_touched(last->message.iov_base));
  EXPECT_FALSE(is_touched(taken.back()->message.iov_base));
  EXPECT_EQ(slots.taken(), 1u);
  EXPECT_EQ(slots.take(), taken[0]);
  slots.give(*taken[0]);
  slots.give(*last);
  slots.trim();
  EXPECT_FALSE(is_touched(last->message.iov_base));
}

}  // namespace
}  // namespace dpfs::devfuse
