// SPDX-License-Identifier: Apache-2.0
// When a time of access is in the store.
#include <string>

#include "backend/kv/clock.h"
#include "backend/kv/kv_fs_harness.h"

namespace dpfs::kv {
namespace {

// How many files' stored times say that they were read after they were written.
size_t stored_accesses(KvWorld& world) {
  size_t count = 0;
  for (const KeptRecord& record : world.client().sweep(Collection::inode)) {
    Inode inode;
    EXPECT_TRUE(decode(record.value, inode));
    if (S_ISREG(inode.mode) && inode.mtime < inode.atime) ++count;
  }
  return count;
}

void write_read_and_close(KvDaemon& daemon, const std::string& name) {
  const KvDaemon::File file = daemon.create(name);
  ASSERT_EQ(daemon.write(file, 0, name), Errno::none);
  ASSERT_EQ(daemon.read(file, 0, 100), name);
  daemon.close(file);
}

TEST(AccessTimes, OfOneFileIsWrittenDownWhenTheLastTenantGoes) {
  KvWorld world;
  KvDaemon daemon(world);
  write_read_and_close(daemon, "a");
  daemon.end();
  while (stored_accesses(world) == 0) world.reactor().turn();
}

TEST(AccessTimes, OfManyFilesAreWrittenDownTogether) {
  KvWorld world;
  KvDaemon daemon(world);
  for (uint32_t i = 0; i < Change::kNodesMax; ++i) {
    write_read_and_close(daemon, "file" + std::to_string(i));
  }
  while (stored_accesses(world) < Change::kNodesMax) world.reactor().turn();
}

TEST(AccessTimes, OfAFewFilesAreWrittenDownAfterAWhile) {
  KvWorld world;
  KvDaemon daemon(world);
  write_read_and_close(daemon, "a");
  while (stored_accesses(world) == 0) world.reactor().turn();
}

TEST(AccessTimes, OfRemovedFilesAreLeftOut) {
  KvWorld world;
  KvDaemon daemon(world);
  write_read_and_close(daemon, "a");
  EXPECT_EQ(daemon.unlink("a"), Errno::none);
  daemon.end();
  EXPECT_EQ(world.records(Collection::inode), 1u);
}

TEST(AccessTimes, ThatCannotBeWrittenAreNoErrorAndNothingElseIsLost) {
  KvWorld world;
  KvDaemon daemon(world);
  write_read_and_close(daemon, "a");
  daemon.die();
  EXPECT_EQ(stored_accesses(world), 0u);
  KvDaemon next(world, {.ownership = {.takes_over = true}});
  EXPECT_TRUE(next.look_up("a"));
}

}  // namespace
}  // namespace dpfs::kv
