// SPDX-License-Identifier: Apache-2.0
// The end of a tenant's session, orderly or not, and the next one.
#include "backend/nfs/nfs_fs_harness.h"

namespace dpfs::nfs {
namespace {

void begin_again(NfsFsHarness& harness) {
  harness.on_reactor([&] { harness.fs().end(); });
  harness.begin();
}

TEST(Leaving, OpenFilesAndLocksGoWithTheSession) {
  NfsFsHarness harness;
  const auto file = harness.open_file("f", "text");
  ASSERT_TRUE(harness.lock(file, 1, F_WRLCK));
  harness.write(file, 0, "TEXT");
  begin_again(harness);
  EXPECT_EQ(harness.fs().open_files(), 0u);
  EXPECT_EQ(harness.on_server("f"), "TEXT");
  const auto again = harness.open_file("f", "text");
  EXPECT_TRUE(harness.lock(again, 2, F_WRLCK));
  harness.release(again);
}

TEST(Leaving, AServerThatStandsStillIsNotWaitedForForEver) {
  NfsFsHarness harness;
  const auto file = harness.open_file("f", "text");
  harness.write(file, 0, "TEXT");
  harness.server.pause();
  begin_again(harness);
  harness.server.go_on();
  EXPECT_NE(harness.node("f"), NodeId{0});
}

TEST(Leaving, AServerThatIsAwayIsNotWaitedFor) {
  NfsFsHarness harness;
  const auto file = harness.open_file("f", "text");
  harness.write(file, 0, "TEXT");
  harness.server.restart();
  begin_again(harness);
  EXPECT_NE(harness.node("f"), NodeId{0});
}

TEST(Leaving, TwiceWithoutAnything) {
  NfsFsHarness harness;
  begin_again(harness);
  begin_again(harness);
  EXPECT_TRUE(harness.call(&NfsFs::getattr, {.node = NodeId::root}));
}

}  // namespace
}  // namespace dpfs::nfs
