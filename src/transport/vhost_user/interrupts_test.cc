// SPDX-License-Identifier: Apache-2.0
// Which interrupts wait, by the policy alone and by a device over a real socket.
#include "transport/vhost_user/interrupts.h"

#include <gtest/gtest.h>

#include "fuse/fake_filesystem.h"
#include "fuse/fake_message.h"
#include "transport/vhost_user/fake_vmm.h"

namespace dpfs::vhost_user {
namespace {

constexpr uint64_t kDelayNs = 100'000;
constexpr uint64_t kNow = 1'000'000'000;

TEST(InterruptPolicy, FewUnderWayAreToldOfAtOnce) {
  InterruptPolicy policy(kDelayNs);
  for (uint32_t n = 0; n < InterruptPolicy::kInFlightMin; ++n) {
    EXPECT_EQ(policy.wait_ns(1, n, kNow), 0u) << n;
  }
}

TEST(InterruptPolicy, OneOfManyWaitsForMore) {
  InterruptPolicy policy(kDelayNs);
  EXPECT_EQ(policy.wait_ns(1, 31, kNow), kDelayNs);
  EXPECT_EQ(policy.wait_ns(2, 30, kNow + 30'000), kDelayNs - 30'000);
}

TEST(InterruptPolicy, TwoThirdsOfThemWaitNoLonger) {
  InterruptPolicy policy(kDelayNs);
  EXPECT_NE(policy.wait_ns(19, 11, kNow), 0u);
  EXPECT_EQ(policy.wait_ns(20, 10, kNow), 0u);
}

TEST(InterruptPolicy, ThoseThatComeTogetherWaitForNoMore) {
  InterruptPolicy policy(kDelayNs);
  policy.shown(InterruptPolicy::kBurst - 1);
  EXPECT_NE(policy.wait_ns(7, 100, kNow), 0u);
  policy.shown(InterruptPolicy::kBurst);
  EXPECT_EQ(policy.wait_ns(15, 92, kNow), 0u);
}

TEST(InterruptPolicy, NoneWaitsForLongerThanTheDelay) {
  InterruptPolicy policy(kDelayNs);
  EXPECT_NE(policy.wait_ns(1, 31, kNow), 0u);
  EXPECT_EQ(policy.wait_ns(2, 30, kNow + kDelayNs), 0u);
  EXPECT_EQ(policy.wait_ns(3, 29, kNow + 3 * kDelayNs), 0u);
}

TEST(InterruptPolicy, DelayBeginsAnewOnceTheDriverWasTold) {
  InterruptPolicy policy(kDelayNs);
  policy.wait_ns(1, 31, kNow);
  policy.told();
  EXPECT_EQ(policy.wait_ns(1, 31, kNow + 5 * kDelayNs), kDelayNs);
}

TEST(InterruptPolicy, WhoeverIsInAHurryTakesTheOthersAlong) {
  InterruptPolicy policy(kDelayNs);
  EXPECT_NE(policy.wait_ns(1, 31, kNow), 0u);
  policy.hurry();
  EXPECT_EQ(policy.wait_ns(2, 30, kNow), 0u);
  policy.told();
  EXPECT_NE(policy.wait_ns(1, 31, kNow), 0u);
}

TEST(InterruptPolicy, WithoutADelayNothingWaits) {
  InterruptPolicy policy(0);
  EXPECT_EQ(policy.wait_ns(1, 255, kNow), 0u);
}

TEST(InterruptPolicy, OnlyDataCanWait) {
  EXPECT_TRUE(InterruptPolicy::can_wait(uint32_t(fuse::Opcode::read)));
  EXPECT_TRUE(InterruptPolicy::can_wait(uint32_t(fuse::Opcode::write)));
  EXPECT_FALSE(InterruptPolicy::can_wait(uint32_t(fuse::Opcode::fsync)));
  EXPECT_FALSE(InterruptPolicy::can_wait(uint32_t(fuse::Opcode::lookup)));
  EXPECT_FALSE(InterruptPolicy::can_wait(UINT32_MAX));
}

// ---- A device that has them ---------------------------------------------------------------------

class HeldInterrupts : public testing::Test {
 protected:
  static constexpr uint16_t kReads = 30;
  static constexpr uint64_t kNever = 3'600'000'000'000;

  // A device waits for what is in flight before it closes.
  ~HeldInterrupts() override {
    server_->running().call([this] { fs_.release_all(); });
  }
  void bring_up(uint64_t delay_ns) {
    DeviceOptions options{.tag = "test", .request_queues = 1, .queue_size_max = 64};
    options.interrupt_delay_ns = delay_ns;
    server_.emplace(fs_, options);
    vmm_.emplace(*server_, 64);
    ASSERT_TRUE(vmm_->bring_up());
    ask(fuse::Opcode::init, FakeVmm::bytes_of(linux_init()));
    ASSERT_TRUE(told());
    server_->running().call([this] { fs_.hold(true); });
    for (int i = 0; i < kReads; ++i) {
      ask(fuse::Opcode::read, FakeVmm::bytes_of(fuse::ReadIn{.fh = 1, .size = 16}));
    }
  }
  void ask(fuse::Opcode opcode, const std::string& arguments) {
    fuse::InHeader header{.len = static_cast<uint32_t>(sizeof header + arguments.size()),
                          .opcode = static_cast<uint32_t>(opcode),
                          .unique = ++asked_,
                          .nodeid = 1};
    const std::string bytes = FakeVmm::bytes_of(header) + arguments;
    const size_t place = 0x100 * asked_;
    std::memcpy(vmm_->ring.region->base() + FakeRing::kData + place, bytes.data(), bytes.size());
    const auto head = static_cast<uint16_t>(2 * (asked_ - 1));
    const auto behind = static_cast<uint16_t>(head + 1);
    vmm_->ring.desc(head) = {FakeRing::data(place), static_cast<uint32_t>(bytes.size()),
                             virtio::desc_flag::kNext, behind};
    vmm_->ring.desc(behind) = {FakeRing::data(0x4000), 4096, virtio::desc_flag::kWrite, 0};
    vmm_->ring.offer(head);
    vmm_->kick_it();
    if (opcode == fuse::Opcode::init) return;
    uint32_t calls = 0;
    while (calls + 1 < asked_) server_->running().call([&] { calls = fs_.calls; });
  }
  // The request that has waited longest, or the newest.
  void answer(int count, bool newest = false) {
    for (int i = 0; i < count; ++i) {
      server_->running().call([&] { EXPECT_TRUE(fs_.release(newest)); });
      // One by one: those that are shown together may be a burst.
      server_->running().turn();
      server_->running().call([] {});
    }
  }
  bool shown(uint16_t answers) {
    const auto seen = static_cast<uint16_t>(answers + 1);  // INIT's before
    for (int ms = 0; ms < 10'000 && vmm_->ring.used_idx() != seen; ++ms) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return vmm_->ring.used_idx() == seen;
  }
  // Whether there was an interrupt; asks for the next.
  bool told(int wait_ms = 10'000) {
    const bool was = vmm_->wait_for_call(wait_ms);
    vmm_->ring.used_event() = vmm_->ring.used_idx();
    return was;
  }
  FakeFileSystem fs_;
  std::optional<RunningServer> server_;
  std::optional<FakeVmm> vmm_;
  uint64_t asked_ = 0;
};

TEST_F(HeldInterrupts, AnswersAreShownAtOnceAndToldOfWhenMostAreThere) {
  bring_up(kNever);
  constexpr uint16_t kMost = kReads * 2 / 3;
  answer(kMost - 1);
  EXPECT_TRUE(shown(kMost - 1));
  EXPECT_FALSE(vmm_->wait_for_call(50));
  answer(1);
  EXPECT_TRUE(told());
}

TEST_F(HeldInterrupts, OneIsToldOfAfterTheDelay) {
  bring_up(1'000'000);
  answer(1);
  EXPECT_TRUE(told());
  EXPECT_TRUE(shown(1));
}

TEST_F(HeldInterrupts, DriverThatHasLookedByItselfIsNotTold) {
  bring_up(300'000'000);
  answer(2);
  EXPECT_TRUE(shown(2));
  vmm_->ring.used_event() = vmm_->ring.used_idx();
  EXPECT_FALSE(vmm_->wait_for_call(600));
  answer(1);
  EXPECT_TRUE(told());
}

TEST_F(HeldInterrupts, MetadataIsToldOfAtOnce) {
  bring_up(kNever);
  ask(fuse::Opcode::statfs, "");
  answer(1);
  EXPECT_FALSE(vmm_->wait_for_call(50));
  answer(1, true);
  EXPECT_TRUE(told());
  EXPECT_TRUE(shown(2));
}

TEST_F(HeldInterrupts, DeviceThatIsStoppedTellsOfAll) {
  bring_up(kNever);
  answer(1);
  EXPECT_FALSE(vmm_->wait_for_call(50));
  vmm_->send(Request::get_vring_base, FakeVmm::bytes_of(VringState{1, 0}));
  server_->running().call([this] { fs_.release_all(); });
  EXPECT_TRUE(vmm_->receive());
  EXPECT_TRUE(told());
}

}  // namespace
}  // namespace dpfs::vhost_user
