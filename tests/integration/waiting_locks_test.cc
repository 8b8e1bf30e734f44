// SPDX-License-Identifier: Apache-2.0
// Tenants that wait for locks, over vhost-user: they hold up nobody, whoever of them goes, and the
// host's own programs are among those who hold.
#include <fcntl.h>
#include <sys/file.h>

#include <vector>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

using driver::Call;

class WaitingLocks : public AttackedDaemon {
 protected:
  static constexpr uint32_t kWaits = 40;  // more than may be inside blocking calls at once

  void SetUp() override {
    AttackedDaemon::SetUp();
    host_.reset(::open((folder_ / "share/file").c_str(), O_RDWR | O_CLOEXEC));
  }
  static driver::TenantOptions many() {
    driver::TenantOptions options = small();
    options.device.memory_size = 32 << 20;
    options.client.calls_per_queue = kWaits + 8;
    return options;
  }
  bool host_locks(short type) {
    struct flock lock{};
    lock.l_type = type;
    return ::fcntl(host_.get(), F_OFD_SETLK, &lock) == 0;
  }
  // A lock of the whole file for `owner`; waits when somebody has it.
  Call* start(uint64_t owner, bool flock = false) {
    if (!file_) {
      const uint64_t node = attacker().mount.lookup({1, "file"})->nodeid;
      file_ = *attacker().mount.open(node, O_RDWR);
    }
    Call* call = attacker().client.take();
    driver::request::setlk(*call, file_->node,
                           {.fh = file_->handle,
                            .owner = owner,
                            .lk = {.start = 0, .end = INT64_MAX, .type = F_WRLCK, .pid = 1},
                            .lk_flags = flock ? fuse::lk_flag::kFlock : 0},
                           true);
    EXPECT_TRUE(attacker().client.submit(*call));
    return call;
  }
  Errno answer(Call* call) {
    while (call->in_flight()) {
      if (!attacker().client.wait()) return Errno::timedout;
    }
    const Errno why = call->error();
    attacker().client.give(*call);
    return why;
  }

  Fd host_;
  std::optional<driver::File> file_;
};

TEST_F(WaitingLocks, ManyWaitAndTheirDeviceGoesOn) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  attacker(many());
  std::vector<Call*> calls;
  for (uint32_t i = 0; i < kWaits; ++i) calls.push_back(start(i + 1, i % 2 == 1));
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(attacker().mount.getattr(1));
    ASSERT_TRUE(healthy_->mount.getattr(1));
  }
  // The flocks are the same open file's, so they exclude nobody here.
  for (uint32_t i = 1; i < kWaits; i += 2) EXPECT_EQ(answer(calls[i]), Errno::none);
  EXPECT_TRUE(calls[0]->in_flight());
  ASSERT_TRUE(host_locks(F_UNLCK));
  attacker_->device.connection().close();
  attacker_.reset();
}

TEST_F(WaitingLocks, LockOfTheHostIsWaitedFor) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  Call* call = start(1);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(attacker().mount.getattr(1));
  EXPECT_TRUE(call->in_flight());
  ASSERT_TRUE(host_locks(F_UNLCK));
  EXPECT_EQ(answer(call), Errno::none);
  EXPECT_FALSE(host_locks(F_WRLCK));
  attacker_.reset();
  EXPECT_TRUE(eventually([this] { return host_locks(F_WRLCK); })) << "the tenant has gone";
}

TEST_F(WaitingLocks, InterruptEndsTheWait) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  Call* call = start(1);
  ASSERT_TRUE(attacker().mount.getattr(1));
  Call* interrupt = attacker().client.take();
  driver::request::interrupt(*interrupt, call->header().unique);
  ASSERT_TRUE(attacker().client.submit(*interrupt));
  EXPECT_EQ(answer(call), Errno::intr);
  ASSERT_TRUE(host_locks(F_UNLCK));
  EXPECT_TRUE(host_locks(F_WRLCK));
}

TEST_F(WaitingLocks, VmmThatGoesLeavesNoWaitBehind) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  start(1);
  ASSERT_TRUE(attacker().mount.getattr(1));
  attacker_->device.connection().close();
  attacker_.reset();
  // AttackedDaemon: the next tenant is served, and no descriptor is left.
}

TEST_F(WaitingLocks, RingThatIsStoppedEndsItsWaits) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  Call* call = start(1);
  ASSERT_TRUE(attacker().mount.getattr(1));
  ASSERT_TRUE(attacker().device.stop());
  attacker().client.poll();
  EXPECT_EQ(call->error(), Errno::nolck);
}

TEST_F(WaitingLocks, SigtermEndsThemAll) {
  ASSERT_TRUE(host_locks(F_WRLCK));
  start(1);
  ASSERT_TRUE(attacker().mount.getattr(1));
  EXPECT_EQ(daemon_->end(), 0) << daemon_->log();
  attacker_.reset();
  healthy_.reset();
}

}  // namespace
}  // namespace dpfs::test
