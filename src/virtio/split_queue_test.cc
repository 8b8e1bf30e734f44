// SPDX-License-Identifier: Apache-2.0
// Rings that keep the rules, and rings that break each of them.
#include "virtio/split_queue.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <set>
#include <string>

#include "virtio/fake_ring.h"

namespace dpfs {
namespace {

using Fault = SplitQueue::Fault;
using virtio::Desc;
namespace desc_flag = virtio::desc_flag;
namespace feature = virtio::feature;

constexpr uint64_t kAll = feature::kVersion1 | feature::kIndirectDesc | feature::kEventIdx;

class SplitQueueTest : public testing::Test {
 protected:
  void start(uint64_t features = kAll, uint16_t next_avail = 0) {
    ASSERT_TRUE(
        queue_.start(*ring_.memory, FakeRing::addresses(), ring_.size, features, next_avail));
  }
  Result<Chain> take() { return queue_.take(*ring_.memory, parts_); }
  // Starts, offers `head`, and says what is wrong with it.
  Fault fault_of(uint16_t head, uint64_t features = kAll) {
    start(features);
    ring_.offer(head);
    EXPECT_EQ(take().error(), Errno::proto);
    return queue_.fault();
  }
  // A chain in an indirect table at data(0x2000), in descriptor 0.
  void indirect(std::initializer_list<Desc> table) {
    uint32_t n = 0;
    for (const Desc& desc : table) ring_.indirect(0x2000, n++) = desc;
    ring_.desc(0) = {FakeRing::data(0x2000), static_cast<uint32_t>(n * sizeof(Desc)),
                     desc_flag::kIndirect, 0};
  }

  FakeRing ring_{8};
  SplitQueue queue_;
  std::array<iovec, 8> parts_{};
};

// ---- Chains as they should be -------------------------------------------------------------------

TEST_F(SplitQueueTest, EmptyRingHasNothing) {
  start();
  EXPECT_FALSE(queue_.has_work());
  EXPECT_EQ(take().error(), Errno::again);
  EXPECT_FALSE(queue_.broken());
}

TEST_F(SplitQueueTest, ChainIsTakenWithReadablePartsFirst) {
  start();
  ring_.offer_pair(2);
  EXPECT_TRUE(queue_.has_work());
  const Result<Chain> chain = take();
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->head, 4);
  EXPECT_EQ(chain->readable_parts, 1u);
  EXPECT_EQ(chain->writable_parts, 1u);
  EXPECT_EQ(parts_[0].iov_len, 64u);
  EXPECT_EQ(parts_[1].iov_base, ring_.region->base() + FakeRing::kData + 0x1000);
  EXPECT_FALSE(queue_.has_work());
}

TEST_F(SplitQueueTest, ChainAsLongAsItsTableIsNoLoop) {
  start();
  for (uint16_t i = 0; i < 8; ++i) {
    ring_.desc(i) = {FakeRing::data(0), 1, i < 7 ? desc_flag::kNext : uint16_t{0},
                     static_cast<uint16_t>(i + 1)};
  }
  ring_.offer(0);
  EXPECT_EQ(take()->readable_parts, 8u);
}

TEST_F(SplitQueueTest, IndirectChainIsTaken) {
  start();
  indirect({{FakeRing::data(0), 40, desc_flag::kNext, 2},
            {0, 0, 0, 0},
            {FakeRing::data(64), 16, desc_flag::kWrite, 0}});
  ring_.offer(0);
  const Result<Chain> chain = take();
  ASSERT_TRUE(chain);
  EXPECT_EQ(chain->readable_parts, 1u);
  EXPECT_EQ(chain->writable_parts, 1u);
}

TEST_F(SplitQueueTest, IndirectTableMayBeLongerThanTheRing) {
  start();
  for (uint16_t i = 0; i < 8; ++i) {
    ring_.indirect(0x2000, i * 2u) = {FakeRing::data(0), 1, desc_flag::kNext,
                                      static_cast<uint16_t>(i * 2 + 2)};
  }
  ring_.indirect(0x2000, 14).flags = 0;
  ring_.desc(3) = {FakeRing::data(0x2000), 64 * sizeof(Desc), desc_flag::kIndirect, 0};
  ring_.offer(3);
  EXPECT_EQ(take()->readable_parts, 8u);
}

TEST_F(SplitQueueTest, IndirectTableNeedsNoAlignment) {
  start();
  const Desc desc{FakeRing::data(0), 40, 0, 0};
  std::memcpy(ring_.region->base() + FakeRing::kData + 0x2003, &desc, sizeof desc);
  ring_.desc(0) = {FakeRing::data(0x2003), sizeof(Desc), desc_flag::kIndirect, 0};
  ring_.offer(0);
  EXPECT_EQ(take()->readable_parts, 1u);
}

// VIRTIO 1.3, section 2.7.5.3.2: the device handles direct descriptors and an indirect one behind.
TEST_F(SplitQueueTest, DirectDescriptorsMayEndInAnIndirectOne) {
  start();
  indirect({{FakeRing::data(64), 16, desc_flag::kWrite, 0}});
  ring_.desc(5) = {FakeRing::data(0), 40, desc_flag::kNext, 0};
  ring_.offer(5);
  const Result<Chain> chain = take();
  EXPECT_EQ(chain->head, 5);
  EXPECT_EQ(chain->readable_parts + chain->writable_parts, 2u);
}

// The same section: the write flag of a descriptor that names a table is ignored.
TEST_F(SplitQueueTest, WriteFlagOfAnIndirectDescriptorIsIgnored) {
  start();
  indirect({{FakeRing::data(0), 40, 0, 0}});
  ring_.desc(0).flags |= desc_flag::kWrite;
  ring_.offer(0);
  EXPECT_EQ(take()->readable_parts, 1u);
}

TEST_F(SplitQueueTest, IndexWrapsAround) {
  ring_.avail_idx() = 65534;
  ring_.used_idx() = 65534;
  start(kAll, 65534);
  for (uint16_t i = 0; i < 4; ++i) {
    ring_.offer_pair(i);
    const Result<Chain> chain = take();
    ASSERT_EQ(chain->head, 2 * i);
    queue_.put_used(chain->head, i);
    queue_.publish();
    EXPECT_EQ(ring_.used_idx(), static_cast<uint16_t>(65535 + i));
    EXPECT_EQ(ring_.used(static_cast<uint16_t>(65534 + i)).id, 2u * i);
    EXPECT_EQ(ring_.used(static_cast<uint16_t>(65534 + i)).len, i);
  }
  EXPECT_EQ(queue_.next_avail(), 2);
}

TEST_F(SplitQueueTest, DriverSeesNothingBeforePublish) {
  start();
  ring_.offer_pair(0);
  queue_.put_used(take()->head, 10);
  EXPECT_EQ(ring_.used_idx(), 0);
  queue_.publish();
  EXPECT_EQ(ring_.used_idx(), 1);
}

TEST_F(SplitQueueTest, UsedIndexGoesOnWhereTheTenantsMemoryHasIt) {
  ring_.used_idx() = 77;
  start();
  ring_.offer_pair(0);
  queue_.put_used(take()->head, 10);
  queue_.publish();
  EXPECT_EQ(ring_.used_idx(), 78);
  EXPECT_EQ(ring_.used(77).len, 10u);
}

// The used index is ours: what a tenant scribbles over it is overwritten, never believed.
TEST_F(SplitQueueTest, ScribbledUsedIndexIsOverwritten) {
  start();
  ring_.used_idx() = 4711;
  ring_.offer_pair(0);
  queue_.put_used(take()->head, 10);
  queue_.publish();
  EXPECT_EQ(ring_.used_idx(), 1);
}

TEST_F(SplitQueueTest, RestartedRingGoesOnAtItsBase) {
  start();
  ring_.offer_pair(0);
  ring_.offer_pair(1);
  EXPECT_EQ(take()->head, 0);
  const uint16_t base = queue_.next_avail();
  queue_.stop();
  EXPECT_FALSE(queue_.started());
  EXPECT_EQ(take().error(), Errno::again);
  start(kAll, base);
  EXPECT_EQ(take()->head, 2);
}

// ---- Rings that cannot be started ---------------------------------------------------------------

TEST_F(SplitQueueTest, SizeThatIsNoPowerOfTwoIsRefused) {
  for (const uint16_t size : {0, 3, 1023, 40000, 65535}) {
    EXPECT_EQ(queue_.start(*ring_.memory, FakeRing::addresses(), size, kAll, 0).error(),
              Errno::inval)
        << size;
    EXPECT_FALSE(queue_.started());
  }
}

TEST_F(SplitQueueTest, RingOutsideOfMemoryIsRefused) {
  const UserAddress end{FakeRing::kUser + FakeRing::kBytes - 16};
  for (int part = 0; part < 3; ++part) {
    RingAddresses addresses = FakeRing::addresses();
    (part == 0 ? addresses.desc : part == 1 ? addresses.avail : addresses.used) = end;
    EXPECT_EQ(queue_.start(*ring_.memory, addresses, 8, kAll, 0).error(), Errno::fault) << part;
    EXPECT_FALSE(queue_.started());
  }
}

TEST_F(SplitQueueTest, MisalignedRingIsRefused) {
  for (int part = 0; part < 3; ++part) {
    RingAddresses addresses = FakeRing::addresses();
    UserAddress& moved = part == 0 ? addresses.desc : part == 1 ? addresses.avail : addresses.used;
    moved = UserAddress{static_cast<uint64_t>(moved) + (part == 0 ? 8 : part == 1 ? 1 : 2)};
    EXPECT_EQ(queue_.start(*ring_.memory, addresses, 8, kAll, 0).error(), Errno::fault) << part;
  }
}

// ---- Every fault --------------------------------------------------------------------------------

TEST_F(SplitQueueTest, AvailIndexThatJumpsIsRefused) {
  start();
  ring_.avail_idx() = 9;
  EXPECT_EQ(take().error(), Errno::proto);
  EXPECT_EQ(queue_.fault(), Fault::avail_index_jumped);
}

TEST_F(SplitQueueTest, AvailIndexThatGoesBackIsRefused) {
  start(kAll, 5);
  ring_.avail_idx() = 4;
  EXPECT_EQ(take().error(), Errno::proto);
  EXPECT_EQ(queue_.fault(), Fault::avail_index_jumped);
}

TEST_F(SplitQueueTest, FullRingHasNotJumped) {
  start();
  for (uint16_t i = 0; i < 8; ++i) ring_.offer_pair(i % 4);
  for (uint16_t i = 0; i < 8; ++i) EXPECT_TRUE(take());
}

TEST_F(SplitQueueTest, HeadOutOfRangeIsRefused) {
  EXPECT_EQ(fault_of(8), Fault::head_out_of_range);
}

TEST_F(SplitQueueTest, LoopedChainIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), 1, desc_flag::kNext, 1};
  ring_.desc(1) = {FakeRing::data(0), 1, desc_flag::kNext, 0};
  std::array<iovec, 64> room;
  start();
  ring_.offer(0);
  EXPECT_EQ(queue_.take(*ring_.memory, room).error(), Errno::proto);
  EXPECT_EQ(queue_.fault(), Fault::chain_too_long);
}

TEST_F(SplitQueueTest, DescriptorThatNamesItselfIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), 1, desc_flag::kNext, 0};
  std::array<iovec, 64> room;
  start();
  ring_.offer(0);
  EXPECT_EQ(queue_.take(*ring_.memory, room).error(), Errno::proto);
  EXPECT_EQ(queue_.fault(), Fault::chain_too_long);
}

TEST_F(SplitQueueTest, LoopInAnIndirectTableIsRefused) {
  indirect({{FakeRing::data(0), 1, desc_flag::kNext, 1}, {FakeRing::data(0), 1, 1, 0}});
  EXPECT_EQ(fault_of(0), Fault::chain_too_long);
}

TEST_F(SplitQueueTest, NextOutOfRangeIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), 1, desc_flag::kNext, 8};
  EXPECT_EQ(fault_of(0), Fault::next_out_of_range);
}

TEST_F(SplitQueueTest, NextBehindAnIndirectTableIsRefused) {
  indirect({{FakeRing::data(0), 1, desc_flag::kNext, 2}, {FakeRing::data(0), 1, 0, 0}});
  EXPECT_EQ(fault_of(0), Fault::next_out_of_range);
}

TEST_F(SplitQueueTest, AddressOutsideOfMemoryIsRefused) {
  ring_.desc(0) = {FakeRing::kGuest + FakeRing::kBytes, 1, 0, 0};
  EXPECT_EQ(fault_of(0), Fault::address_not_mapped);
}

TEST_F(SplitQueueTest, OverlongDescriptorIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), UINT32_MAX, 0, 0};
  EXPECT_EQ(fault_of(0), Fault::address_not_mapped);
}

TEST_F(SplitQueueTest, AddressThatWrapsAroundIsRefused) {
  ring_.desc(0) = {UINT64_MAX - 3, 16, 0, 0};
  EXPECT_EQ(fault_of(0), Fault::address_not_mapped);
}

TEST_F(SplitQueueTest, ZeroLengthIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), 0, 0, 0};
  EXPECT_EQ(fault_of(0), Fault::zero_length);
}

TEST_F(SplitQueueTest, IndirectThatWasNotAgreedOnIsRefused) {
  indirect({{FakeRing::data(0), 1, 0, 0}});
  EXPECT_EQ(fault_of(0, feature::kVersion1), Fault::indirect_not_agreed);
}

TEST_F(SplitQueueTest, IndirectTableInAnIndirectTableIsRefused) {
  indirect({{FakeRing::data(0x2000), 16, desc_flag::kIndirect, 0}});
  EXPECT_EQ(fault_of(0), Fault::indirect_in_indirect);
}

TEST_F(SplitQueueTest, IndirectDescriptorWithNextIsRefused) {
  indirect({{FakeRing::data(0), 1, 0, 0}});
  ring_.desc(0).flags |= desc_flag::kNext;
  EXPECT_EQ(fault_of(0), Fault::indirect_and_next);
}

TEST_F(SplitQueueTest, IndirectTableOfOddSizeIsRefused) {
  indirect({{FakeRing::data(0), 1, 0, 0}});
  for (const uint32_t size : {0u, 1u, 15u, 17u, UINT32_MAX}) {
    ring_.avail_idx() = 0;
    ring_.desc(0).len = size;
    EXPECT_EQ(fault_of(0), Fault::indirect_size) << size;
  }
}

TEST_F(SplitQueueTest, IndirectTableOutsideOfMemoryIsRefused) {
  ring_.desc(0) = {FakeRing::kGuest + FakeRing::kBytes - 16, 32, desc_flag::kIndirect, 0};
  EXPECT_EQ(fault_of(0), Fault::address_not_mapped);
}

TEST_F(SplitQueueTest, ReadableBehindWritableIsRefused) {
  ring_.desc(0) = {FakeRing::data(0), 1, desc_flag::kWrite | desc_flag::kNext, 1};
  ring_.desc(1) = {FakeRing::data(0), 1, 0, 0};
  EXPECT_EQ(fault_of(0), Fault::readable_after_writable);
}

TEST_F(SplitQueueTest, ChainWithMorePiecesThanThereIsRoomForIsRefused) {
  indirect({{FakeRing::data(0), 1, 1, 1}, {FakeRing::data(0), 1, 1, 2}, {FakeRing::data(0), 1, 0}});
  start();
  ring_.offer(0);
  EXPECT_EQ(queue_.take(*ring_.memory, std::span(parts_).first(2)).error(), Errno::proto);
  EXPECT_EQ(queue_.fault(), Fault::too_many_parts);
}

TEST_F(SplitQueueTest, EveryFaultHasASentenceOfItsOwn) {
  std::set<std::string> sentences;
  for (int fault = 0; fault <= static_cast<int>(Fault::too_many_parts); ++fault) {
    sentences.insert(SplitQueue::describe(static_cast<Fault>(fault)));
  }
  EXPECT_EQ(sentences.size(), static_cast<size_t>(Fault::too_many_parts) + 1);
}

TEST_F(SplitQueueTest, BrokenRingIsLeftAlone) {
  start();
  ring_.offer_pair(0);
  const uint16_t head = take()->head;
  ring_.offer(8);
  EXPECT_EQ(take().error(), Errno::proto);
  queue_.put_used(head, 10);
  queue_.publish();
  EXPECT_FALSE(queue_.wants_interrupt());
  EXPECT_EQ(ring_.used_idx(), 0);
  EXPECT_FALSE(queue_.has_work());
  EXPECT_EQ(take().error(), Errno::again);
}

TEST_F(SplitQueueTest, BrokenRingIsWholeAfterARestart) {
  EXPECT_EQ(fault_of(8), Fault::head_out_of_range);
  queue_.stop();
  ring_.avail_idx() = 0;
  start();
  EXPECT_FALSE(queue_.broken());
  ring_.offer_pair(0);
  EXPECT_TRUE(take());
}

// ---- Another table of memory --------------------------------------------------------------------

TEST_F(SplitQueueTest, RingGoesOnInANewTableOfTheSameMemory) {
  start();
  ring_.offer_pair(0);
  const uint16_t head = take()->head;
  ring_.memory = fake_memory({fake_region(0x10000000, 0x1000, 4096), ring_.region});
  ASSERT_TRUE(queue_.remap(*ring_.memory));
  queue_.put_used(head, 5);
  queue_.publish();
  EXPECT_EQ(ring_.used_idx(), 1);
  ring_.offer_pair(1);
  EXPECT_EQ(take()->head, 2);
}

TEST_F(SplitQueueTest, RingWhoseMemoryWasTakenAwayIsBroken) {
  start();
  ring_.offer_pair(0);
  const MemoryPin other = fake_memory({fake_region(0x10000000, 0x1000, 4096)});
  EXPECT_EQ(queue_.remap(*other).error(), Errno::fault);
  EXPECT_EQ(queue_.fault(), Fault::address_not_mapped);
  EXPECT_FALSE(queue_.has_work());
}

// Its memory is unmapped by now: whoever touches it crashes.
TEST_F(SplitQueueTest, RingWhoseMemoryWasTakenAwayIsNotTouched) {
  for (const uint64_t features : {kAll, feature::kVersion1}) {
    auto gone = std::make_unique<FakeRing>(8);
    ASSERT_TRUE(queue_.start(*gone->memory, FakeRing::addresses(), 8, features, 0));
    const MemoryPin other = fake_memory({fake_region(0x10000000, 0x1000, 4096)});
    EXPECT_FALSE(queue_.remap(*other));
    gone.reset();
    queue_.put_used(0, 1);
    queue_.publish();
    EXPECT_FALSE(queue_.wants_interrupt());
    queue_.enable_kicks();
    queue_.disable_kicks();
    EXPECT_FALSE(queue_.has_work());
    queue_.stop();
  }
}

TEST_F(SplitQueueTest, StoppedRingNeedsNoMemory) {
  start();
  queue_.stop();
  const MemoryPin other = fake_memory({fake_region(0x10000000, 0x1000, 4096)});
  EXPECT_TRUE(queue_.remap(*other));
  EXPECT_FALSE(queue_.broken());
}

// ---- Interrupts ---------------------------------------------------------------------------------

class Interrupts : public SplitQueueTest {
 protected:
  // Returns `n` chains and publishes them: whether the driver wants to hear of it.
  bool use(uint16_t n) {
    show(n);
    const bool wanted = queue_.wants_interrupt();
    queue_.told();
    return wanted;
  }
  void show(uint16_t n) {
    for (uint16_t i = 0; i < n; ++i) queue_.put_used(i, 0);
    queue_.publish();
  }
};

TEST_F(Interrupts, NothingPublishedIsNoInterrupt) {
  start();
  EXPECT_FALSE(use(0));
}

TEST_F(Interrupts, ThatOfWhatWasShownBeforeMayComeLater) {
  start();
  ring_.used_event() = 0;
  show(1);
  EXPECT_TRUE(queue_.wants_interrupt());
  show(2);
  EXPECT_EQ(queue_.untold(), 3);
  EXPECT_TRUE(queue_.wants_interrupt());
  queue_.told();
  EXPECT_EQ(queue_.untold(), 0);
  EXPECT_FALSE(queue_.wants_interrupt());
}

TEST_F(Interrupts, DriverThatHasLookedMeanwhileWantsNone) {
  start();
  ring_.used_event() = 0;
  show(3);
  EXPECT_TRUE(queue_.wants_interrupt());
  ring_.used_event() = 3;  // it has seen them, and asks for the next
  EXPECT_FALSE(queue_.wants_interrupt());
  EXPECT_TRUE(use(1));
}

TEST_F(Interrupts, CrossingUsedEventIsOneInterrupt) {
  start();
  ring_.used_event() = 2;
  EXPECT_FALSE(use(2));
  EXPECT_TRUE(use(1));
  EXPECT_FALSE(use(3));
}

TEST_F(Interrupts, BatchThatCrossesUsedEventIsOneInterrupt) {
  start();
  ring_.used_event() = 2;
  EXPECT_TRUE(use(7));
  EXPECT_FALSE(use(1));
}

TEST_F(Interrupts, UsedEventIsCrossedAcrossTheWrap) {
  ring_.used_idx() = 65533;
  start();
  ring_.used_event() = 0;
  EXPECT_FALSE(use(3));
  EXPECT_EQ(ring_.used_idx(), 0);
  EXPECT_TRUE(use(1));
  ring_.used_idx() = 65533;
  start();
  ring_.used_event() = 65535;
  EXPECT_TRUE(use(5));
}

TEST_F(Interrupts, WithoutEventIdxTheFlagDecides) {
  start(feature::kVersion1);
  ring_.used_event() = 77;
  EXPECT_TRUE(use(1));
  ring_.avail_flags() = virtio::avail_flag::kNoInterrupt;
  EXPECT_FALSE(use(1));
}

// ---- Kicks --------------------------------------------------------------------------------------

TEST_F(SplitQueueTest, EnabledKicksAskForTheNextChain) {
  start(kAll, 0);
  ring_.offer_pair(0);
  ring_.offer_pair(1);
  EXPECT_TRUE(take());
  queue_.enable_kicks();
  EXPECT_EQ(ring_.avail_event(), 1);
  EXPECT_TRUE(virtio::event_crossed(ring_.avail_event(), 2, 1));
}

TEST_F(SplitQueueTest, DisabledKicksAreNotCrossedByTheNextChains) {
  for (const uint16_t at : {0, 1, 77, 65535}) {
    queue_.stop();
    start(kAll, at);
    queue_.disable_kicks();
    for (const uint16_t n : {1, 8, 30000}) {
      const auto now = static_cast<uint16_t>(at + n);
      EXPECT_FALSE(virtio::event_crossed(ring_.avail_event(), now, at)) << at << " " << n;
    }
  }
}

TEST_F(SplitQueueTest, WithoutEventIdxKicksAreAFlag) {
  start(feature::kVersion1);
  queue_.disable_kicks();
  EXPECT_EQ(ring_.used_flags(), virtio::used_flag::kNoNotify);
  queue_.enable_kicks();
  EXPECT_EQ(ring_.used_flags(), 0);
}

TEST_F(SplitQueueTest, StoppedRingIsNotTouched) {
  start();
  queue_.stop();
  ring_.avail_event() = 1234;
  queue_.enable_kicks();
  queue_.disable_kicks();
  EXPECT_EQ(ring_.avail_event(), 1234);
}

}  // namespace
}  // namespace dpfs
