// SPDX-License-Identifier: Apache-2.0
// The driver's side of the split ring, with the test playing the device.
#include "driver/queue.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <random>

namespace dpfs::driver {
namespace {

constexpr Segment kIn{0x1000, 40};
constexpr Segment kArgs{0x2000, 16};
constexpr Segment kOut{0x3000, 16};

class QueueTest : public testing::Test {
 protected:
  // Plays the device: returns a chain.
  static void use(Queue& queue, uint32_t head, uint32_t length) {
    uint16_t at = queue.used_idx().load();
    queue.used_ring(at) = {head, length};
    queue.used_idx().store(static_cast<uint16_t>(at + 1));
  }
  static uint32_t reap_all(Queue& queue) {
    return queue.reap([](uint16_t, uint32_t) {});
  }

  Memory memory_{1 << 20};
  Queue queue_{memory_, 1, {.size = 8, .event_idx = true}};
  Queue plain_{memory_, 1, {.size = 8, .event_idx = false}};
};

TEST_F(QueueTest, AddedChainIsInvisibleUntilPublished) {
  ASSERT_TRUE(queue_.add(std::array{kIn}, std::array{kOut}));
  EXPECT_EQ(queue_.avail_idx().load(), 0);
  queue_.publish();
  EXPECT_EQ(queue_.avail_idx().load(), 1);
}

TEST_F(QueueTest, DirectChainHasReadableDescriptorsFirstAndEndsWithoutNext) {
  std::optional<uint16_t> head = queue_.add(std::array{kIn, kArgs}, std::array{kOut});
  ASSERT_TRUE(head);
  const virtio::Desc& first = queue_.desc(*head);
  const virtio::Desc& second = queue_.desc(first.next);
  const virtio::Desc& third = queue_.desc(second.next);
  EXPECT_EQ(first.flags, virtio::desc_flag::kNext);
  EXPECT_EQ(first.addr, kIn.guest_addr);
  EXPECT_EQ(second.flags, virtio::desc_flag::kNext);
  EXPECT_EQ(second.len, kArgs.size);
  EXPECT_EQ(third.flags, virtio::desc_flag::kWrite);
  EXPECT_EQ(queue_.avail_ring(0), *head);
}

TEST_F(QueueTest, IndirectChainTakesOneDescriptor) {
  std::optional<uint16_t> head = queue_.add_indirect(0x4000, 5);
  ASSERT_TRUE(head);
  EXPECT_EQ(queue_.desc(*head).flags, virtio::desc_flag::kIndirect);
  EXPECT_EQ(queue_.desc(*head).len, 5 * sizeof(virtio::Desc));
  EXPECT_EQ(queue_.free_descriptors(), 7);
}

TEST_F(QueueTest, FullQueueRefusesUntilAChainComesBack) {
  std::array<uint16_t, 8> heads{};
  for (uint16_t& head : heads) head = queue_.add_indirect(0x4000, 3).value();
  EXPECT_FALSE(queue_.add_indirect(0x4000, 3));
  use(queue_, heads[3], 16);
  EXPECT_EQ(reap_all(queue_), 1u);
  EXPECT_EQ(queue_.add_indirect(0x4000, 3), heads[3]);
}

TEST_F(QueueTest, ChainLongerThanTheFreeListIsRefusedWhole) {
  std::array<Segment, 9> nine;
  nine.fill(kIn);
  EXPECT_FALSE(queue_.add(nine, {}));
  EXPECT_EQ(queue_.free_descriptors(), 8);
}

TEST_F(QueueTest, RandomChainsInRandomOrderLoseNoDescriptor) {
  const uint32_t seed = 20260101;
  std::mt19937 random(seed);
  std::deque<uint16_t> in_flight;
  std::array<Segment, 4> parts;
  parts.fill(kIn);
  for (int round = 0; round < 100'000; ++round) {
    std::optional<uint16_t> head = queue_.add(std::span(parts).first(1 + random() % 4), {});
    if (head) {
      in_flight.push_back(*head);
      queue_.publish();
    }
    if (in_flight.empty() || random() % 2 == 0) continue;
    size_t which = random() % in_flight.size();
    use(queue_, in_flight[which], 0);
    in_flight.erase(in_flight.begin() + static_cast<ptrdiff_t>(which));
    ASSERT_EQ(reap_all(queue_), 1u) << "seed " << seed << ", round " << round;
  }
  for (uint16_t head : in_flight) use(queue_, head, 0);
  reap_all(queue_);
  EXPECT_EQ(queue_.free_descriptors(), 8);
  EXPECT_EQ(queue_.counters().broken, 0u);
}

TEST_F(QueueTest, KickIsWantedOnlyWhereTheAvailEventIsCrossed) {
  queue_.avail_event() = 1;
  queue_.add_indirect(0x4000, 1);
  queue_.publish();
  EXPECT_FALSE(queue_.kick_wanted());
  queue_.add_indirect(0x4000, 1);
  queue_.publish();
  EXPECT_TRUE(queue_.kick_wanted());
  EXPECT_FALSE(queue_.kick_wanted());
}

TEST_F(QueueTest, KickIsNotWantedWithNoNotifySet) {
  // The used ring's flags are its first two bytes.
  *reinterpret_cast<uint16_t*>(plain_.used_block().data) = virtio::used_flag::kNoNotify;
  plain_.add_indirect(0x4000, 1);
  plain_.publish();
  EXPECT_FALSE(plain_.kick_wanted());
}

TEST_F(QueueTest, ArmingReportsWhatHasComeInTheMeantime) {
  uint16_t head = queue_.add_indirect(0x4000, 1).value();
  EXPECT_TRUE(queue_.arm_interrupt());
  EXPECT_EQ(queue_.used_event(), 0);
  use(queue_, head, 16);
  EXPECT_FALSE(queue_.arm_interrupt());
}

TEST_F(QueueTest, DisarmingWithoutEventIdxSetsNoInterrupt) {
  plain_.disarm_interrupt();
  EXPECT_EQ(plain_.avail_flags(), virtio::avail_flag::kNoInterrupt);
  plain_.arm_interrupt();
  EXPECT_EQ(plain_.avail_flags(), 0);
}

TEST_F(QueueTest, UsedEntryThatNamesNoChainInFlightIsCountedAsBroken) {
  uint16_t head = queue_.add_indirect(0x4000, 1).value();
  use(queue_, static_cast<uint32_t>(head + 1), 16);
  use(queue_, 70'000, 16);
  EXPECT_EQ(reap_all(queue_), 0u);
  EXPECT_EQ(queue_.counters().broken, 2u);
  EXPECT_EQ(queue_.free_descriptors(), 7);
}

TEST_F(QueueTest, ForcedHeadIsPublishedWhateverItIs) {
  queue_.force(65'000);
  EXPECT_EQ(queue_.avail_ring(0), 65'000);
  EXPECT_EQ(queue_.avail_idx().load(), 1);
  EXPECT_EQ(queue_.counters().kicks, 1u);
}

TEST_F(QueueTest, UsedIndexThatJumpsIsCountedAsBroken) {
  queue_.used_idx().store(9);
  EXPECT_EQ(reap_all(queue_), 0u);
  EXPECT_EQ(queue_.counters().broken, 1u);
}

}  // namespace
}  // namespace dpfs::driver
