// SPDX-License-Identifier: Apache-2.0
// Files whose name was given to another one a moment ago.
#include "backend/kv/replaced_files.h"

#include <string>

#include "backend/kv/kv_fs_harness.h"

namespace dpfs::kv {
namespace {

// Replaces `name`, and returns what was there.
NodeId replace(KvDaemon& daemon, std::string_view name, const std::string& text) {
  const NodeId before{daemon.look_up(name)->nodeid};
  const KvDaemon::File file = daemon.create("new");
  EXPECT_EQ(daemon.write(file, 0, text), Errno::none);
  daemon.close(file);
  EXPECT_EQ(daemon.rename("new", name), Errno::none);
  return before;
}

void make(KvDaemon& daemon, std::string_view name, const std::string& text) {
  const KvDaemon::File file = daemon.create(name);
  EXPECT_EQ(daemon.write(file, 0, text), Errno::none);
  daemon.close(file);
}

}  // namespace

TEST(ReplacedFiles, WhoHasLookedItUpCanStillOpenIt) {
  KvWorld world;
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  const KvDaemon::File before = daemon.open(replace(daemon, "a", "after"));
  EXPECT_EQ(daemon.read(before, 0, 100), "before");
  EXPECT_EQ(daemon.read(daemon.open("a"), 0, 100), "after");
}

TEST(ReplacedFiles, IsRemovedAfterAWhile) {
  KvWorld world;
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  replace(daemon, "a", "after");
  while (world.records(Collection::orphan) > 0) world.reactor().turn();
  EXPECT_EQ(world.records(Collection::contents), 1u);
  world.expect_usage_is_right();
}

TEST(ReplacedFiles, OpenedMeanwhileStaysUntilItIsClosed) {
  KvWorld world({.inodes_max = 4});  // the root is one
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  const KvDaemon::File before = daemon.open(replace(daemon, "a", "after"));
  make(daemon, "b", "");
  EXPECT_EQ(daemon.make_directory("c"), Errno::dquot);
  EXPECT_EQ(daemon.read(before, 0, 100), "before");
  daemon.close(before);
  EXPECT_EQ(world.records(Collection::orphan), 0u);
  EXPECT_EQ(daemon.make_directory("c"), Errno::none);
}

TEST(ReplacedFiles, MakeRoomWhereThereIsNoneLeft) {
  KvWorld world({.inodes_max = 3});
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  for (int i = 0; i < 20; ++i) replace(daemon, "a", std::to_string(i));
  EXPECT_EQ(daemon.read(daemon.open("a"), 0, 100), "19");
  world.expect_usage_is_right();
}

TEST(ReplacedFiles, MoreThanThereArePlacesForGoAtOnce) {
  KvWorld world;
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  for (int i = 0; i < 300; ++i) replace(daemon, "a", std::to_string(i));
  EXPECT_LE(world.records(Collection::orphan), 256u);
  daemon.end();
  EXPECT_EQ(world.records(Collection::orphan), 0u);
  EXPECT_EQ(world.records(Collection::inode), 2u);
  world.expect_usage_is_right();
}

TEST(ReplacedFiles, OfADeadDaemonAreRemovedByTheNext) {
  KvWorld world;
  KvDaemon first(world, {.ownership = {.lease_ms = 100}});
  make(first, "a", "before");
  replace(first, "a", "after");
  first.die();
  EXPECT_EQ(world.records(Collection::orphan), 1u);
  KvDaemon second(world, {.ownership = {.lease_ms = 100}});
  EXPECT_EQ(second.read(second.open("a"), 0, 100), "after");
  EXPECT_EQ(world.records(Collection::orphan), 0u);
  world.expect_usage_is_right();
}

TEST(ReplacedFiles, ReplacementThatFailsLeavesTheFile) {
  KvWorld world;
  KvDaemon daemon(world);
  make(daemon, "a", "before");
  make(daemon, "b", "other");
  for (int i = 0; i < 300; ++i) {
    daemon.fail(Errno::nospc);
    ASSERT_EQ(daemon.rename("b", "a"), Errno::nospc);
    daemon.work_again();
  }
  EXPECT_EQ(daemon.read(daemon.open("a"), 0, 100), "before");
  const NodeId before = replace(daemon, "a", "after");
  EXPECT_EQ(daemon.read(daemon.open(before), 0, 100), "before");
}

}  // namespace dpfs::kv
