// SPDX-License-Identifier: Apache-2.0
// A file system below that hangs: who asked it waits, nobody else does. And what happens to a
// request in flight: its memory table is replaced, its VMM goes, the daemon ends.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <vector>

#include "tests/integration/attacked_daemon.h"
#include "tests/integration/slow_filesystem.h"

namespace dpfs::test {
namespace {

using driver::Call;

class SlowBelow : public AttackedDaemon {
 protected:
  std::string attacked_url() override { return "local:" + (folder_ / "slow"); }

  void SetUp() override {
    if (!SlowFileSystem::possible()) GTEST_SKIP() << "needs root and /dev/fuse";
    std::filesystem::create_directory(folder_ / "slow");
    slow_.emplace(folder_ / "slow");
    AttackedDaemon::SetUp();
  }
  void TearDown() override {
    if (slow_) slow_->release();
    AttackedDaemon::TearDown();
    daemon_.reset();
    slow_.reset();
  }

  driver::File open(const char* name) {
    const uint64_t node = attacker().mount.lookup({1, name})->nodeid;
    const Result<driver::File> file = attacker().mount.open(node, O_RDONLY);
    EXPECT_TRUE(file) << name;
    return *file;
  }
  // A read that waits below when this returns.
  Call* start_slow_read(driver::File file) {
    const size_t before = slow_->waiting();
    Call* call = attacker().client.take();
    driver::request::read(*call, file, 0, SlowFileSystem::kFileBytes);
    EXPECT_TRUE(attacker().client.submit(*call));
    EXPECT_TRUE(eventually([&] { return slow_->waiting() == before + 1; }));
    return call;
  }
  void expect_answered(Call* call) {
    while (call->in_flight()) {
      ASSERT_TRUE(attacker().client.wait());
    }
    EXPECT_EQ(call->error(), Errno::none);
    const auto data = call->reply_data();
    EXPECT_EQ(data.size(), SlowFileSystem::kFileBytes);
    EXPECT_TRUE(std::ranges::all_of(
        data, [](std::byte byte) { return byte == std::byte{SlowFileSystem::kByte}; }));
    attacker().client.give(*call);
  }

  void expect_that_a_request_survives_hot_plug(bool slots) {
    driver::TenantOptions options = small();
    options.device.memory_slots = slots;
    attacker(options);
    Call* call = start_slow_read(open("slow"));
    driver::Device& device = attacker().device;
    constexpr uint64_t kPlugged = 64ull << 30;
    ASSERT_TRUE(device.add_region(1 << 20, kPlugged));
    EXPECT_TRUE(attacker().mount.getattr(1)) << "rings in the new table";
    ASSERT_TRUE(device.remove_region(1));
    EXPECT_TRUE(attacker().mount.getattr(1));
    slow_->release();
    expect_answered(call);
  }

  std::optional<SlowFileSystem> slow_;
};

TEST_F(SlowBelow, OtherDeviceOfTheSameReactorIsServed) {
  Call* call = start_slow_read(open("slow"));
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(healthy_->mount.getattr(1));
  EXPECT_TRUE(call->in_flight());
  slow_->release();
  expect_answered(call);
}

TEST_F(SlowBelow, OtherRequestsOfTheSameDeviceAreServed) {
  const driver::File fast = open("fast");
  Call* call = start_slow_read(open("slow"));
  std::vector<std::byte> bytes(SlowFileSystem::kFileBytes);
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(*attacker().mount.read(fast, 0, bytes), bytes.size());
    ASSERT_TRUE(attacker().mount.getattr(1));
  }
  EXPECT_TRUE(call->in_flight());
  slow_->release();
  expect_answered(call);
}

TEST_F(SlowBelow, ManySlowReadsAtOnceDelayNobodyElse) {
  const driver::File slow = open("slow");
  std::vector<Call*> calls;
  for (int i = 0; i < 6; ++i) calls.push_back(start_slow_read(slow));
  EXPECT_TRUE(attacker().mount.getattr(1));
  EXPECT_TRUE(healthy_->mount.getattr(1));
  slow_->release();
  for (Call* call : calls) expect_answered(call);
}

TEST_F(SlowBelow, SlowLookupDelaysNobodyElse) {
  Call* call = attacker().client.take();
  driver::request::lookup(*call, {1, "stuck"});
  ASSERT_TRUE(attacker().client.submit(*call));
  EXPECT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(attacker().mount.getattr(1));
    ASSERT_TRUE(healthy_->mount.getattr(1));
  }
  slow_->release();
  while (call->in_flight()) {
    ASSERT_TRUE(attacker().client.wait());
  }
  EXPECT_EQ(call->error(), Errno::noent);
  attacker().client.give(*call);
}

TEST_F(SlowBelow, ForgetIsServedWhileARequestWaits) {
  const uint64_t node = attacker().mount.lookup({1, "fast"})->nodeid;
  Call* call = start_slow_read(open("slow"));
  ASSERT_TRUE(attacker().mount.forget(node, 1));
  // Its node may still answer (for NFS servers), so the daemon's own count has to say it.
  EXPECT_TRUE(eventually([&] {
    daemon_->signal(SIGUSR1);
    return daemon_->has_logged("forget");
  }));
  slow_->release();
  expect_answered(call);
}

TEST_F(SlowBelow, RequestInFlightSurvivesANewMemoryTable) {
  expect_that_a_request_survives_hot_plug(false);
}

TEST_F(SlowBelow, RequestInFlightSurvivesAPluggedSlot) {
  expect_that_a_request_survives_hot_plug(true);
}

TEST_F(SlowBelow, VmmThatGoesWithARequestInFlightIsFollowedByTheNext) {
  start_slow_read(open("slow"));
  // Not by stopping its rings, which would wait: as when it is killed.
  attacker_->device.connection().close();
  EXPECT_TRUE(healthy_->mount.getattr(1));
  attacker_.reset();
  slow_->release();
  EXPECT_TRUE(attacker().mount.getattr(1));
}

class SlowClosing : public SlowBelow {
 protected:
  // The attacker has gone, and closing its file waits below.
  void leave_a_file_that_closes_slowly() {
    open("fast");
    slow_->hold_closing();
    attacker_->device.connection().close();
    attacker_.reset();
    ASSERT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  }
};

TEST_F(SlowClosing, NextVmmWaitsUntilTheSessionBeforeHasEnded) {
  leave_a_file_that_closes_slowly();
  driver::VhostUserConnection next = connect();
  next.reply_timeout_ms = 100;
  EXPECT_EQ(next.get(vhost_user::Request::get_features).error(), Errno::timedout);
  EXPECT_TRUE(healthy_->mount.getattr(1));
  slow_->release();
  next.close();
  EXPECT_TRUE(attacker().mount.lookup({1, "fast"}));
}

TEST_F(SlowClosing, SigtermWaitsUntilTheSessionHasEnded) {
  leave_a_file_that_closes_slowly();
  daemon_->signal(SIGTERM);
  EXPECT_TRUE(logged_eventually("ending: SIGTERM"));
  EXPECT_TRUE(healthy_->device.connection().peer_has_closed() ||
              eventually([this] { return healthy_->device.connection().peer_has_closed(); }));
  slow_->release();
  EXPECT_EQ(daemon_->wait(), 0) << daemon_->log();
  healthy_.reset();
}

TEST_F(SlowClosing, RequestsOfARebootThatIsUnderWayAreRefused) {
  open("fast");
  slow_->hold_closing();
  ASSERT_TRUE(attacker().device.stop());
  ASSERT_TRUE(attacker().device.start());
  Call* init = attacker().client.take();
  init->prepare(fuse::Opcode::init, 0,
                {.in_args = sizeof(fuse::InitIn), .out_args = sizeof(fuse::InitOut)});
  init->argument(driver::Client::linux_init());
  ASSERT_TRUE(attacker().client.submit(*init));
  ASSERT_TRUE(eventually([this] { return slow_->waiting() > 0; }));
  EXPECT_EQ(attacker().mount.getattr(1).error(), Errno::io);
  slow_->release();
  while (init->in_flight()) {
    ASSERT_TRUE(attacker().client.wait());
  }
  EXPECT_EQ(init->error(), Errno::none);
  attacker().client.give(*init);
  EXPECT_TRUE(attacker().mount.getattr(1));
}

TEST_F(SlowBelow, SigtermAnswersWhatIsInFlight) {
  Call* call = start_slow_read(open("slow"));
  daemon_->signal(SIGTERM);
  EXPECT_TRUE(logged_eventually("ending: SIGTERM"));
  EXPECT_TRUE(daemon_->running());
  slow_->release();
  EXPECT_EQ(daemon_->wait(), 0) << daemon_->log();
  attacker().client.poll();
  EXPECT_FALSE(call->in_flight());
  EXPECT_EQ(call->error(), Errno::none);
  EXPECT_EQ(call->reply_data().size(), SlowFileSystem::kFileBytes);
  attacker_.reset();
  healthy_.reset();
}

}  // namespace
}  // namespace dpfs::test
