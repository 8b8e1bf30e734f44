// SPDX-License-Identifier: Apache-2.0
// A tenant that opens all the files that it can: others go on, and who cannot be served is told.
#include <fcntl.h>

#include <stdexcept>

#include "tests/integration/attacked_daemon.h"

namespace dpfs::test {
namespace {

class OutOfDescriptors : public AttackedDaemon {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "UBSan looks at objects through a pipe, and has none left";
    AttackedDaemon::SetUp();
  }
  uint64_t descriptors_max() override { return 200; }

  // Until the daemon has no descriptor left for it; how many it got.
  int open_all() {
    const uint64_t node = attacker().mount.lookup({1, "file"})->nodeid;
    int opened = 0;
    Result<driver::File> file = attacker().mount.open(node, O_RDONLY);
    for (; file && opened < 1000; ++opened) file = attacker().mount.open(node, O_RDONLY);
    EXPECT_FALSE(file);
    EXPECT_TRUE(file.error() == Errno::mfile || file.error() == Errno::nfile)
        << describe(file.error());
    return opened;
  }
};

TEST_F(OutOfDescriptors, TenantThatOpensAllItCanIsRefusedAndOthersGoOn) {
  EXPECT_GT(open_all(), 10);
  EXPECT_TRUE(healthy_->mount.getattr(1));
  EXPECT_TRUE(attacker().mount.getattr(1)) << daemon_->log();
}

TEST_F(OutOfDescriptors, VmmThatCannotBeServedIsSentAwayAndMayComeBack) {
  open_all();
  healthy_.reset();
  // The other device's descriptors are free soon: use them up too.
  EXPECT_TRUE(eventually([this] {
    open_all();
    return daemon_->descriptors() == descriptors_max();
  }));
  const driver::VhostUserConnection waiting =
      driver::VhostUserConnection::connect(socket("healthy"));
  EXPECT_TRUE(eventually([&] { return waiting.peer_has_closed(); }));
  EXPECT_TRUE(logged_eventually("healthy: a VMM was sent away"));
  attacker_.reset();
  EXPECT_TRUE(eventually([this] {
    try {
      healthy_.emplace(socket("healthy"), small());
    } catch (const std::runtime_error&) {
      return false;  // the attacker's files are not all closed yet
    }
    return true;
  }));
  EXPECT_TRUE(healthy_->mount.init());
}

}  // namespace
}  // namespace dpfs::test
