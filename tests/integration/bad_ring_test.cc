// SPDX-License-Identifier: Apache-2.0
// A tenant whose rings break the rules: its queue is stopped with an error that says why, and
// nobody else notices.
#include <cstring>

#include "tests/integration/attacked_daemon.h"
#include "virtio/split_queue.h"

namespace dpfs::test {
namespace {

using driver::Block;
using driver::Queue;
using virtio::Desc;
using Fault = SplitQueue::Fault;
namespace desc_flag = virtio::desc_flag;

class BadRing : public AttackedDaemon {
 protected:
  Queue& queue() { return attacker().device.queue(1); }
  // A block of the tenant's memory to point to.
  Block block(size_t size) { return attacker().device.memory().allocate(size, 64); }
  // The driver hears of it on the error eventfd, the operator in the log.
  void expect_fault(Fault fault) {
    EXPECT_TRUE(eventually([this] { return queue().device_reports_error(); }));
    EXPECT_TRUE(logged_eventually(SplitQueue::describe(fault))) << daemon_->log();
  }
  // The last descriptor: the driver takes them from the front.
  Desc& last() { return queue().desc(last_index()); }
  uint16_t last_index() { return static_cast<uint16_t>(queue().size() - 1); }
};

TEST_F(BadRing, LoopIsRefused) {
  const Block data = block(64);
  last() = {data.guest_addr, 64, desc_flag::kNext, last_index()};
  queue().force(last_index());
  expect_fault(Fault::chain_too_long);
}

TEST_F(BadRing, AddressOutOfRangeIsRefused) {
  last() = {0x10, 64, 0, 0};
  queue().force(last_index());
  expect_fault(Fault::address_not_mapped);
}

TEST_F(BadRing, AddressThatWrapsAroundIsRefused) {
  last() = {UINT64_MAX - 8, 64, 0, 0};
  queue().force(last_index());
  expect_fault(Fault::address_not_mapped);
}

TEST_F(BadRing, OverlongDescriptorIsRefused) {
  last() = {block(64).guest_addr, UINT32_MAX, 0, 0};
  queue().force(last_index());
  expect_fault(Fault::address_not_mapped);
}

TEST_F(BadRing, DescriptorWithoutLengthIsRefused) {
  last() = {block(64).guest_addr, 0, 0, 0};
  queue().force(last_index());
  expect_fault(Fault::zero_length);
}

TEST_F(BadRing, NextOutOfRangeIsRefused) {
  last() = {block(64).guest_addr, 64, desc_flag::kNext, 60000};
  queue().force(last_index());
  expect_fault(Fault::next_out_of_range);
}

TEST_F(BadRing, HeadOutOfRangeIsRefused) {
  queue().force(queue().size());
  expect_fault(Fault::head_out_of_range);
}

TEST_F(BadRing, IndirectTableInAnIndirectTableIsRefused) {
  const Block table = block(sizeof(Desc));
  const Desc inner{table.guest_addr, sizeof(Desc), desc_flag::kIndirect, 0};
  std::memcpy(table.data, &inner, sizeof inner);
  last() = {table.guest_addr, sizeof(Desc), desc_flag::kIndirect, 0};
  queue().force(last_index());
  expect_fault(Fault::indirect_in_indirect);
}

TEST_F(BadRing, IndirectTableOfOddSizeIsRefused) {
  last() = {block(64).guest_addr, 17, desc_flag::kIndirect, 0};
  queue().force(last_index());
  expect_fault(Fault::indirect_size);
}

TEST_F(BadRing, IndirectTableThatWasNotAgreedOnIsRefused) {
  driver::TenantOptions options = small();
  options.device.indirect_desc = false;
  attacker(options);
  last() = {block(64).guest_addr, 16, desc_flag::kIndirect, 0};
  queue().force(last_index());
  expect_fault(Fault::indirect_not_agreed);
}

TEST_F(BadRing, ReadableBehindWritableIsRefused) {
  const Block table = block(2 * sizeof(Desc));
  const Desc descs[2] = {{table.guest_addr, 16, desc_flag::kWrite | desc_flag::kNext, 1},
                         {table.guest_addr, 16, 0, 0}};
  std::memcpy(table.data, descs, sizeof descs);
  last() = {table.guest_addr, sizeof descs, desc_flag::kIndirect, 0};
  queue().force(last_index());
  expect_fault(Fault::readable_after_writable);
}

TEST_F(BadRing, ChainWithMorePiecesThanARequestHoldsIsRefused) {
  constexpr uint16_t kPieces = 2000;
  const Block table = block(kPieces * sizeof(Desc));
  auto* descs = reinterpret_cast<Desc*>(table.data);
  for (uint16_t i = 0; i < kPieces; ++i) {
    descs[i] = {table.guest_addr, 1, desc_flag::kNext, static_cast<uint16_t>(i + 1)};
  }
  descs[kPieces - 1].flags = 0;
  last() = {table.guest_addr, kPieces * sizeof(Desc), desc_flag::kIndirect, 0};
  queue().force(last_index());
  expect_fault(Fault::too_many_parts);
}

TEST_F(BadRing, AvailIndexThatJumpsIsRefused) {
  queue().avail_idx().store(static_cast<uint16_t>(queue().avail_idx().load() + 1000));
  queue().kick();
  expect_fault(Fault::avail_index_jumped);
}

TEST_F(BadRing, AvailIndexThatGoesBackIsRefused) {
  EXPECT_TRUE(attacker().mount.getattr(1));
  queue().avail_idx().store(static_cast<uint16_t>(queue().avail_idx().load() - 1));
  queue().kick();
  expect_fault(Fault::avail_index_jumped);
}

// The used index is the device's own: what a tenant writes there is overwritten.
TEST_F(BadRing, UsedIndexThatJumpsHarmsOnlyItsWriter) {
  const uint16_t used = queue().used_idx().load();
  queue().used_idx().store(static_cast<uint16_t>(used + 1000));
  driver::Call* call = attacker().client.take();
  driver::request::getattr(*call, 1);
  ASSERT_TRUE(attacker().client.submit(*call));
  EXPECT_TRUE(
      eventually([&] { return queue().used_idx().load() == static_cast<uint16_t>(used + 1); }));
}

TEST_F(BadRing, HiprioRingIsCheckedToo) {
  Queue& hiprio = attacker().device.hiprio();
  hiprio.force(hiprio.size());
  EXPECT_TRUE(eventually([&] { return hiprio.device_reports_error(); }));
  EXPECT_TRUE(attacker().mount.getattr(1)) << "the device's other queue";
}

TEST_F(BadRing, OneBrokenQueueLeavesTheOthersOfItsDevice) {
  driver::TenantOptions options = small();
  options.device.request_queues = 3;
  attacker(options);
  attacker().device.queue(2).force(999);
  EXPECT_TRUE(eventually([this] { return attacker().device.queue(2).device_reports_error(); }));
  for (const uint32_t number : {1u, 3u}) {
    driver::Call* call = attacker().client.take(number);
    driver::request::getattr(*call, 1);
    EXPECT_TRUE(attacker().client.run(*call)) << number;
    attacker().client.give(*call);
  }
}

TEST_F(BadRing, ChainWithoutAnyRoomForAnAnswerIsGivenBack) {
  const Block message = block(64);
  const fuse::InHeader header{.len = sizeof header,
                              .opcode = static_cast<uint32_t>(fuse::Opcode::statfs),
                              .unique = 7,
                              .nodeid = 1};
  std::memcpy(message.data, &header, sizeof header);
  const uint16_t used = queue().used_idx().load();
  last() = {message.guest_addr, sizeof header, 0, 0};
  queue().force(last_index());
  EXPECT_TRUE(eventually([&] { return queue().used_idx().load() != used; }));
  EXPECT_EQ(queue().used_ring(used).len, 0u);
  EXPECT_FALSE(queue().device_reports_error());
}

TEST_F(BadRing, BrokenQueueIsWholeAfterAReset) {
  queue().force(queue().size());
  EXPECT_TRUE(eventually([this] { return queue().device_reports_error(); }));
  attacker_.reset();
  EXPECT_TRUE(attacker().mount.getattr(1));
}

// As a guest's driver can: a reset is a stop and a start for the VMM.
TEST_F(BadRing, QueueThatIsBrokenAHundredTimesIsNoHundredLinesOfLog) {
  for (int i = 0; i < 100; ++i) {
    queue().force(queue().size());
    ASSERT_TRUE(eventually([this] { return queue().device_reports_error(); }));
    uint64_t count;
    ASSERT_EQ(read(queue().error_fd(), &count, sizeof count), 8);
    ASSERT_TRUE(attacker().device.stop());
    queue().used_idx().store(queue().avail_idx().load());
    ASSERT_TRUE(attacker().device.start());
  }
  EXPECT_LT(daemon_->log().size(), 5'000u);
}

TEST_F(BadRing, RequestsInFlightOnABrokenQueueAreTheTenantsLoss) {
  for (int i = 0; i < 4; ++i) {
    driver::Call* call = attacker().client.take();
    driver::request::getattr(*call, 1);
    ASSERT_TRUE(attacker().client.submit(*call));
  }
  queue().force(queue().size());
  EXPECT_TRUE(eventually([this] { return queue().device_reports_error(); }));
}

TEST_F(BadRing, MemoryTakenFromUnderARunningRingStopsIt) {
  queue();
  const driver::Memory::Region& region = attacker().device.memory().regions()[0];
  ASSERT_TRUE(attacker().device.has_protocol(vhost_user::protocol_feature::kConfigureMemSlots));
  EXPECT_FALSE(attacker().device.connection().rem_mem_reg(region));
  for (int i = 0; i < 20; ++i) queue().kick();
  EXPECT_TRUE(eventually([this] { return queue().device_reports_error(); }));
}

}  // namespace
}  // namespace dpfs::test
